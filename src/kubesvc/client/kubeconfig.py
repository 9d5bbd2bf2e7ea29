"""Where an API server is and how to prove who asks: kubeconfig files and a pod's own files, parsed.

Source: "Organizing Cluster Access Using kubeconfig Files" of the Kubernetes documentation and
client-go's `rest.InClusterConfig`.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubesvc.client.errors import KubeconfigError

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """All that a connection needs; PEM data is held as bytes, `token_file` is read again when it changes."""

    server: str
    ca_pem: bytes | None = None
    insecure: bool = False
    server_name: str | None = None
    token: str | None = None
    token_file: Path | None = None
    cert_pem: bytes | None = None
    key_pem: bytes | None = None
    namespace: str = "default"
    origin: str = field(default="credentials", compare=False)
    """Where this was read, for messages."""


def read_kubeconfig(path: str | os.PathLike[str], *, context: str | None = None) -> Access:
    """Read the access that `context` (default: current-context) of the file names; raises KubeconfigError."""
    file = Path(path)
    try:
        document = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as err:
        raise KubeconfigError(f"kubeconfig {file}: {err.strerror}") from err
    except yaml.YAMLError as err:
        raise KubeconfigError(f"kubeconfig {file}: not YAML: {err}") from err
    if not isinstance(document, dict):
        raise KubeconfigError(f"kubeconfig {file}: holds no mapping")
    return parse_kubeconfig(document, context=context, base=file.parent, origin=f"kubeconfig {file}")


def parse_kubeconfig(document: Mapping[str, Any], *, context: str | None, base: Path, origin: str) -> Access:
    """The access named by `context` of a decoded kubeconfig; relative file names are resolved against `base`."""
    name = context or document.get("current-context") or ""
    if not name:
        raise KubeconfigError(f"{origin}: no context is named and current-context is not set")
    chosen = _entry(document, "contexts", name, "context", origin)
    cluster = _entry(document, "clusters", chosen.get("cluster", ""), "cluster", origin)
    user = _entry(document, "users", chosen["user"], "user", origin) if chosen.get("user") else {}
    if "exec" in user or "auth-provider" in user:
        raise KubeconfigError(f"{origin}: user {chosen['user']}: exec and auth-provider credentials are not supported")
    server = cluster.get("server")
    if not server:
        raise KubeconfigError(f"{origin}: cluster {chosen.get('cluster')}: no server")
    token_file = user.get("tokenFile")
    return Access(
        origin=origin,
        server=server.rstrip("/"),
        ca_pem=_pem(cluster, "certificate-authority", base, origin),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name"),
        token=user.get("token"),
        token_file=(base / token_file) if token_file else None,
        cert_pem=_pem(user, "client-certificate", base, origin),
        key_pem=_pem(user, "client-key", base, origin),
        namespace=chosen.get("namespace") or "default",
    )


def read_in_cluster(environ: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT_DIR) -> Access:
    """The access of a pod's ServiceAccount; raises KubeconfigError outside a pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token_file = directory / "token"
    if not host or not port or not token_file.exists():
        raise KubeconfigError(
            "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be set "
            f"and {token_file} must exist; outside a cluster pass --kubeconfig"
        )
    if ":" in host:
        host = f"[{host}]"
    namespace = directory / "namespace"
    return Access(
        server=f"https://{host}:{port}",
        ca_pem=(directory / "ca.crt").read_bytes(),
        origin=f"service account {directory}",
        token_file=token_file,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def _entry(document: Mapping[str, Any], section: str, name: str, key: str, origin: str) -> dict[str, Any]:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            return entry.get(key) or {}
    raise KubeconfigError(f'{origin}: {key} "{name}" is not defined')


def _pem(entry: Mapping[str, Any], field: str, base: Path, origin: str) -> bytes | None:
    if data := entry.get(f"{field}-data"):
        try:
            return base64.b64decode(str(data), validate=True)
        except ValueError as err:
            raise KubeconfigError(f"{origin}: {field}-data is not base64") from err
    if file := entry.get(field):
        try:
            return base.joinpath(str(file)).read_bytes()
        except OSError as err:
            raise KubeconfigError(f"{origin}: {field} {base / file}: {err.strerror}") from err
    return None
