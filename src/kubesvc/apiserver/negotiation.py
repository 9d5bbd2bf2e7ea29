"""Which form an answer takes: the `Accept` header (KEP-2334 of partial metadata, server-side tables).

JSON is always offered, YAML on request, protobuf never: clients that prefer it list JSON as well.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from kubesvc.api.status import NotAcceptable

_ENCODINGS = {"application/json": "json", "application/*": "json", "*/*": "json", "application/yaml": "yaml"}
_OFFERED = "application/json, application/yaml"


class Form(StrEnum):
    OBJECT = ""
    TABLE = "Table"
    PARTIAL = "PartialObjectMetadata"
    PARTIAL_LIST = "PartialObjectMetadataList"


@dataclass(frozen=True, slots=True)
class Format:
    """The chosen encoding (`json` or `yaml`) and form; `version` is that of meta.k8s.io, `v1` or `v1beta1`."""

    encoding: str = "json"
    form: Form = Form.OBJECT
    version: str = "v1"


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Format:
    """The first offered alternative of an `Accept` header. Raises NotAcceptable."""
    if not accept:
        return Format()
    for clause in _by_weight(accept):
        chosen = _read(clause)
        if chosen:
            return chosen
    raise NotAcceptable(f"only the following media types are accepted: {_OFFERED}")


def media_type(header: str) -> str:
    """The bare media type of a `Content-Type` header."""
    return header.partition(";")[0].strip().lower()


def _by_weight(accept: str) -> list[str]:
    clauses = [clause.strip() for clause in accept.split(",") if clause.strip()]
    return sorted(clauses, key=_weight)


def _weight(clause: str) -> float:
    """Negative quality: sorting is stable, so equal clauses stay in the client's order."""
    quality = _parameters(clause).get("q", "1")
    try:
        return -float(quality)
    except ValueError:
        return -1.0


def _read(clause: str) -> Format | None:
    encoding = _ENCODINGS.get(media_type(clause))
    if encoding is None:
        return None
    parameters = _parameters(clause)
    wanted = parameters.get("as", "")
    if not wanted:
        return Format(encoding)
    known = wanted in set(Form) and parameters.get("g") == "meta.k8s.io"
    version = parameters.get("v", "v1")
    return Format(encoding, Form(wanted), version) if known and version in ("v1", "v1beta1") else None


def _parameters(clause: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in clause.split(";")[1:])
    return {name.strip(): value.strip() for name, _, value in pairs}
