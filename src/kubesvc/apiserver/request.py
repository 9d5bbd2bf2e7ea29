"""What a request asks for, read off its method, path and query (API conventions, "Verbs on Resources").

/api/v1/namespaces/{ns}/{resource}/{name}/{subresource}      the legacy group
/apis/{group}/{version}/namespaces/{ns}/{resource}/...       every other group
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from kubesvc.api.resources import BY_PATH, NAMESPACES, Resource
from kubesvc.api.status import BadRequest

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}
_NAMESPACE_SUBRESOURCES = frozenset(NAMESPACES.subresources)


@dataclass(frozen=True, slots=True)
class Target:
    """The thing a path names. `resource` is None when the group, version and plural are not served here."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    resource: Resource | None = None

    @property
    def group_resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class User:
    """Who asks: as the authenticator knows them."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


AUTHENTICATED = "system:authenticated"
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(slots=True)
class Call:
    """One request, free of HTTP's machinery. `raw` is the connection's own request, for tunnels only."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    user: User = ANONYMOUS
    target: Target | None = None
    query_string: str = ""
    warnings: list[str] = field(default_factory=list)
    raw: Any = None

    @property
    def verb(self) -> str:
        """`get`, `list`, `watch`, ... for resources; the lower-cased method otherwise."""
        if self.target is None:
            return self.method.lower()
        if self.target.name:
            return _VERBS.get(self.method, self.method.lower())
        verb = _COLLECTION_VERBS.get(self.method, self.method.lower())
        return "watch" if verb == "list" and flag(self.query, "watch") else verb

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be stored; BadRequest for anything but `All`."""
        value = self.query.get("dryRun", "")
        if value not in ("", "All"):
            raise BadRequest(
                f'Invalid value: ["{value}"]: dryRun: Unsupported value: "{value}": supported values: "All"'
            )
        return value == "All"


@lru_cache(maxsize=4096)
def parse_target(path: str) -> Target | None:
    """The resource, namespace, name and subresource of a path; None when it is not a resource path."""
    parts = [unquote(part) for part in path.split("/")[1:]]
    if parts and parts[-1] == "":
        parts.pop()
    if len(parts) >= 3 and parts[0] == "api":
        return _parse("", parts[1], parts[2:])
    if len(parts) >= 4 and parts[0] == "apis":
        return _parse(parts[1], parts[2], parts[3:])
    return None


def _parse(group: str, version: str, rest: list[str]) -> Target:
    namespace = ""
    in_namespace = len(rest) > 2 and not (len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES)
    if rest[0] == "namespaces" and in_namespace:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = rest[0], "".join(rest[1:2]), "/".join(rest[2:])
    return Target(group, version, plural, namespace, name, subresource, BY_PATH.get((group, version, plural)))


def parse_query(text: str) -> dict[str, str]:
    """The last value of each parameter; empty values count."""
    return dict(parse_qsl(text, keep_blank_values=True)) if text else {}


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter: `1`, `true` and the bare name are true, `0` and `false` are not."""
    value = query.get(name)
    return value is not None and value.lower() not in ("0", "false", "f")


def number(query: Mapping[str, str], name: str) -> int | None:
    """A non-negative integer parameter; None when absent or empty. Raises BadRequest."""
    value = query.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit()):
        raise BadRequest(f'strconv.ParseInt: parsing "{value}": invalid syntax')
    return int(value)
