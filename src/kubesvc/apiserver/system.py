"""Paths that are not about resources: health, version, metrics, discovery, OpenAPI."""

import platform
import sys
from collections.abc import Callable, Mapping

from kubesvc.api.status import ServiceUnavailable
from kubesvc.apiserver import discovery, openapi, refusals
from kubesvc.apiserver.answers import Answer, of_document, plain
from kubesvc.apiserver.request import Call
from kubesvc.observe import METRICS_TYPE, Registry

MAJOR, MINOR, VERSION = "1", "36", "v1.36.0+kubesvc"
Check = Callable[[], bool]

_NO_CUSTOM_RESOURCES = {
    "kind": "CustomResourceDefinitionList",
    "apiVersion": "apiextensions.k8s.io/v1",
    "metadata": {"resourceVersion": "1"},
    "items": [],
}


class SystemPaths:
    """Health is told by named checks, each a function that says whether that part is well."""

    def __init__(self, metrics: Registry, checks: Mapping[str, Check]) -> None:
        self._metrics = metrics
        self._checks = checks

    def handle(self, call: Call) -> Answer:
        """Raises NotFound for paths that name nothing, MethodNotAllowed for writes."""
        if call.method not in ("GET", "HEAD"):
            raise refusals.method_not_allowed()
        path = call.path.rstrip("/") or "/"
        if path == "/version":
            return of_document(version())
        if path == "/metrics":
            return Answer(self._metrics.render(), content_type=METRICS_TYPE)
        head, _, check = path[1:].partition("/")
        if head in ("healthz", "livez", "readyz"):
            return self._health(head, check, verbose="verbose" in call.query)
        return self._document(path, call)

    def _health(self, endpoint: str, check: str, *, verbose: bool) -> Answer:
        if check and check not in self._checks:
            raise refusals.path_not_found()
        wanted = {check: self._checks[check]} if check else self._checks
        failed = [name for name, is_well in wanted.items() if not is_well()]
        if not failed and not verbose:
            return plain("ok")
        lines = [f"[-]{name} failed" if name in failed else f"[+]{name} ok" for name in wanted]
        lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
        return plain("\n".join(lines) + "\n", ServiceUnavailable.code if failed else 200)

    def _document(self, path: str, call: Call) -> Answer:
        if path == "/":
            return of_document({"paths": ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2",
                                          "/openapi/v3", "/readyz", "/version"]})  # fmt: skip
        accept = call.headers.get("Accept", "")
        found = openapi.document(path, accept) or discovery.document(path, accept)
        if found is None:
            raise refusals.path_not_found()
        body, content_type = found
        return Answer(body, content_type=content_type)


async def custom_resources(call: Call) -> Answer:
    """An empty list: kubectl asks when it meets an unknown kind, and takes a refusal for a broken server."""
    if call.method != "GET":
        raise refusals.method_not_allowed()
    return of_document(_NO_CUSTOM_RESOURCES)


def version() -> dict[str, str]:
    """`version.Info`."""
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-11-22T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": sys.implementation.name,
        "platform": f"linux/{'amd64' if platform.machine() == 'x86_64' else platform.machine()}",
    }
