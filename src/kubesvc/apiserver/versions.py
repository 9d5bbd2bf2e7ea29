"""Which state of a collection a list or watch is to show: `resourceVersion`, its match rule, continue tokens.

List, by resourceVersion:   unset: the newest; 0: any, here the newest; N: not older than N, exactly N with
`resourceVersionMatch=Exact` or with a limit. Everything is read from memory, so "any" costs no more than "newest".
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from kubesvc.api.status import BadRequest, Cause, Invalid
from kubesvc.apiserver import refusals
from kubesvc.apiserver.request import number
from kubesvc.store.types import Revision

_MATCHES = ("Exact", "NotOlderThan")


class _Token(msgspec.Struct, gc=False):
    """A continue token: the list's revision and the last key given."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class ListPlan:
    """What part of the collection to read: at `revision` (None: the newest), after a key, at most `limit` (0: all)."""

    revision: Revision | None = None
    after: str = ""
    limit: int = 0


def plan_list(query: Mapping[str, str], *, current: Revision) -> ListPlan:
    """Read the parameters of a list. Raises BadRequest, Invalid, and Timeout for a revision of the future."""
    limit = number(query, "limit") or 0
    token = query.get("continue", "")
    version = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    _check_match(match, version, token)
    if token:
        if version not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
        revision, after = read_token(token)
        return ListPlan(revision, after, limit)
    asked = parse_revision(version)
    if asked > current:
        raise refusals.too_large_revision(asked, current)
    exact = asked and (match == "Exact" or (limit and match != "NotOlderThan"))
    return ListPlan(asked if exact else None, "", limit)


def _check_match(match: str, version: str, token: str) -> None:
    problem = ""
    if match and match not in _MATCHES:
        problem = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
    elif match and not version:
        problem = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match and token:
        problem = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
    elif match == "Exact" and version == "0":
        problem = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
    if problem:
        raise _invalid_options("resourceVersionMatch", problem)


def check_watch_match(query: Mapping[str, str]) -> bool:
    """Whether a watch asks for initial events; Invalid where its parameters do not go together (KEP-3157)."""
    match = query.get("resourceVersionMatch", "")
    initial = query.get("sendInitialEvents", "")
    if initial and match != "NotOlderThan":
        words = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise _invalid_options("resourceVersionMatch", words)
    if match and not initial:
        words = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise _invalid_options("resourceVersionMatch", words)
    return initial.lower() in ("1", "true")


def _invalid_options(field: str, problem: str) -> Invalid:
    return Invalid(
        f'ListOptions.meta.k8s.io "" is invalid: {field}: {problem}',
        kind="ListOptions", group="meta.k8s.io", causes=(Cause("FieldValueForbidden", field, problem),),
    )  # fmt: skip


def parse_revision(text: str) -> Revision:
    """A resourceVersion as the client sent it; absent and `0` are 0. Raises BadRequest."""
    if not text:
        return Revision(0)
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f'Invalid value: "{text}": resourceVersion: must be a decimal number')
    return Revision(int(text))


def make_token(revision: Revision, last_key: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token(revision, last_key))).rstrip(b"=").decode()


def read_token(text: str) -> tuple[Revision, str]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        token = msgspec.json.decode(raw, type=_Token)
    except (binascii.Error, ValueError, msgspec.DecodeError) as err:
        raise BadRequest(f"continue key is not valid: {err}") from err
    return Revision(token.rv), token.start
