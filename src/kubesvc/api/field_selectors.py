"""Field selectors: `metadata.name=x,spec.nodeName!=y`, and which fields each resource offers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubesvc.api.resources import (
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICES,
    Resource,
)
from kubesvc.api.status import BadRequest

Document = Mapping[str, Any]
Getter = Callable[[Document], Sequence[str]]


def _at(path: str) -> Getter:
    """Reads one scalar; absent is the empty string, booleans read `true` and `false`."""
    steps = path.split(".")

    def read(document: Document) -> Sequence[str]:
        value: Any = document
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        return (_as_text(value),)

    return read


def _flag(path: str) -> Getter:
    read = _at(path)
    return lambda document: (read(document)[0] or "false",)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _pod_ips(pod: Document) -> Sequence[str]:
    status = pod.get("status") or {}
    return tuple(entry.get("ip", "") for entry in status.get("podIPs") or ()) or ("",)


def _event_source(event: Document) -> Sequence[str]:
    source = (event.get("source") or {}).get("component")
    return (source or event.get("reportingComponent") or "",)


def _scalars(*paths: str) -> dict[str, Getter]:
    return {path: _at(path) for path in paths}


_COMMON = _scalars("metadata.name", "metadata.namespace")
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

_FIELDS: dict[Resource, dict[str, Getter]] = {
    SERVICES: _scalars("spec.clusterIP", "spec.type"),
    PODS: {
        **_scalars(
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "status.phase", "status.podIP", "status.nominatedNodeName",
        ),
        "spec.hostNetwork": _flag("spec.hostNetwork"),
        "status.podIPs": _pod_ips,
    },
    NODES: {"spec.unschedulable": _flag("spec.unschedulable")},
    NAMESPACES: {"status.phase": _at("status.phase"), "name": _at("metadata.name")},
    SECRETS: _scalars("type"),
    REPLICASETS: {"status.replicas": lambda document: (_at("status.replicas")(document)[0] or "0",)},
    EVENTS: {
        **_scalars("reason", "reportingComponent", "type", *(f"involvedObject.{name}" for name in _INVOLVED)),
        "source": _event_source,
    },
}  # fmt: skip


def supported_fields(resource: Resource) -> tuple[str, ...]:
    """The field labels `resource` can be selected by."""
    return (*_COMMON, *_FIELDS.get(resource, {}))


@dataclass(frozen=True, slots=True)
class FieldTerm:
    path: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.path}{'!=' if self.negated else '='}{_escape(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of comparisons of fields; without any it matches everything."""

    terms: tuple[FieldTerm, ...] = ()

    @property
    def everything(self) -> bool:
        return not self.terms

    def exact(self, path: str) -> str | None:
        """The value `path` must have, where a term says so: lets a list of one name be a get."""
        for term in self.terms:
            if term.path == path and not term.negated:
                return term.value
        return None

    def compiled(self, resource: Resource) -> Callable[[Document], bool]:
        """The test for objects of `resource`; raises BadRequest for a field it does not offer."""
        tests = [(_getter(resource, term.path), term.value, term.negated) for term in self.terms]

        def holds(document: Document) -> bool:
            return all((value in read(document)) is not negated for read, value, negated in tests)

        return holds

    def matches(self, resource: Resource, document: Document) -> bool:
        return self.compiled(resource)(document)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def _getter(resource: Resource, path: str) -> Getter:
    getter = _COMMON.get(path) or _FIELDS.get(resource, {}).get(path)
    if getter is None:
        raise BadRequest(f"field label not supported: {path}")
    return getter


def parse_field_selector(text: str) -> FieldSelector:
    """Read `a=b,c==d,e!=f`, with `\\` before a literal comma, equals sign or backslash. Raises BadRequest."""
    terms = tuple(_parse_term(part, text) for part in _split(text) if part)
    return FieldSelector(terms)


def _split(text: str) -> list[str]:
    parts, escaped = [""], False
    for character in text:
        if character == "," and not escaped:
            parts.append("")
            continue
        parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def _parse_term(part: str, text: str) -> FieldTerm:
    for index, character in enumerate(part):
        if character == "\\":
            break  # fields have no escapes, so the operator must come before the first one
        for operator in ("!=", "==", "="):
            if part.startswith(operator, index):
                value = _unescape(part[index + len(operator) :], text)
                return FieldTerm(part[:index].strip(), value, operator == "!=")
    raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape(value: str, text: str) -> str:
    read, characters = "", iter(value)
    for character in characters:
        if character == "=":
            raise BadRequest(f"invalid selector: '{text}'; unescaped '=' in value '{value}'")
        if character == "\\":
            character = next(characters, "")
            if character not in ("\\", ",", "="):
                raise BadRequest(f"invalid selector: '{text}'; invalid escape '\\{character}' in '{value}'")
        read += character
    return read
