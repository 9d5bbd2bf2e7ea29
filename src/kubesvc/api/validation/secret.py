"""Secrets: keys, encoding, size, and what the well-known types need."""

from typing import Any

from kubesvc.api.validation.configmap import SIZE_LIMIT, validate_encoded, validate_sealed
from kubesvc.api.validation.errors import FieldError, required, too_long
from kubesvc.api.validation.meta import unchanged

Document = dict[str, Any]

_ACCOUNT = "kubernetes.io/service-account.name"
_NEEDED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def validate_secret(secret: Document, old: Document | None = None) -> list[FieldError]:
    data, kind = secret.get("data") or {}, secret.get("type") or ""
    errors, size = validate_encoded(data, "data")
    if size > SIZE_LIMIT:
        errors.append(too_long("data", SIZE_LIMIT))
    errors += [required(f"data[{key}]") for key in _NEEDED_KEYS.get(kind, ()) if key not in data]
    if kind == "kubernetes.io/basic-auth" and not ("username" in data or "password" in data):
        errors += [required("data[username]"), required("data[password]")]
    annotations = secret.get("metadata", {}).get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_ACCOUNT):
        errors.append(required(f"metadata.annotations[{_ACCOUNT}]"))
    if old is not None:
        errors += unchanged(kind, old.get("type"), "type") + validate_sealed(secret, old, ("data",))
    return errors
