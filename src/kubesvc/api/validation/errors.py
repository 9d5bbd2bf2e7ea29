"""Field errors in the API's own words, and the refusal (422) they add up to."""

import json
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kubesvc.api.resources import Resource
from kubesvc.api.status import Cause, Invalid


class ErrorType(StrEnum):
    """The reasons of causes; what a person reads is in `_WORDS`."""

    REQUIRED = "FieldValueRequired"
    INVALID = "FieldValueInvalid"
    FORBIDDEN = "FieldValueForbidden"
    DUPLICATE = "FieldValueDuplicate"
    NOT_SUPPORTED = "FieldValueNotSupported"
    NOT_FOUND = "FieldValueNotFound"
    TOO_LONG = "FieldValueTooLong"
    TOO_MANY = "FieldValueTooMany"
    INTERNAL = "InternalError"


_WORDS = {
    ErrorType.REQUIRED: "Required value",
    ErrorType.INVALID: "Invalid value",
    ErrorType.FORBIDDEN: "Forbidden",
    ErrorType.DUPLICATE: "Duplicate value",
    ErrorType.NOT_SUPPORTED: "Unsupported value",
    ErrorType.NOT_FOUND: "Not found",
    ErrorType.TOO_LONG: "Too long",
    ErrorType.TOO_MANY: "Too many",
    ErrorType.INTERNAL: "Internal error",
}
_WITHOUT_VALUE = frozenset({ErrorType.REQUIRED, ErrorType.FORBIDDEN, ErrorType.TOO_LONG, ErrorType.INTERNAL})


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field; `str()` reads `spec.ports[0].port: Invalid value: 0: must be ...`."""

    type: ErrorType
    path: str
    value: Any = None
    detail: str = ""

    @property
    def body(self) -> str:
        """The sentence without the path."""
        text = _WORDS[self.type]
        if self.type not in _WITHOUT_VALUE:
            text += f": {render_value(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def cause(self) -> Cause:
        return Cause(str(self.type), self.path, self.body)

    def __str__(self) -> str:
        return f"{self.path}: {self.body}"


def render_value(value: Any) -> str:
    """Strings quoted, numbers bare, everything else as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(ErrorType.REQUIRED, path, "", detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(ErrorType.INVALID, path, value, detail)


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(ErrorType.FORBIDDEN, path, "", detail)


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(ErrorType.DUPLICATE, path, value)


def not_found(path: str, value: Any) -> FieldError:
    return FieldError(ErrorType.NOT_FOUND, path, value)


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """`supported` is listed in its order; a set, which has none, by name."""
    choices = sorted(supported) if isinstance(supported, Set) else supported
    words = ", ".join(f'"{choice}"' for choice in choices)
    return FieldError(ErrorType.NOT_SUPPORTED, path, value, f"supported values: {words}")


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(ErrorType.TOO_LONG, path, "", f"may not be more than {limit} byte{'' if limit == 1 else 's'}")


def too_many(path: str, found: int, limit: int) -> FieldError:
    return FieldError(ErrorType.TOO_MANY, path, found, f"must have at most {limit} item{'' if limit == 1 else 's'}")


def each_invalid(path: str, value: Any, problems: Iterable[str]) -> list[FieldError]:
    """One error per sentence a check of `api.names` or `api.addresses` gave."""
    return [invalid(path, value, problem) for problem in problems]


def summarize(errors: Sequence[FieldError]) -> str:
    """One error as it is, several as `[a, b]`, repeats once."""
    texts = list(dict.fromkeys(map(str, errors)))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def invalid_error(resource: Resource, name: str, errors: Sequence[FieldError]) -> Invalid:
    """The 422 refusal: `Service "x" is invalid: ...` with one cause per error."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return Invalid(
        f'{kind} "{name}" is invalid: {summarize(errors)}',
        kind=resource.kind,
        group=resource.group,
        name=name,
        causes=tuple(error.cause() for error in errors),
    )
