"""What an API server says when it refuses: `metav1.Status`, as one tree of exceptions.

    ApiError
    ├── BadRequest 400            ├── Conflict 409          ├── Invalid 422 (causes)
    ├── Unauthorized 401          ├── AlreadyExists 409     ├── TooManyRequests 429
    ├── Forbidden 403             ├── Expired 410           ├── InternalError 500
    ├── NotFound 404              ├── TooLarge 413          ├── ServiceUnavailable 503
    ├── MethodNotAllowed 405      ├── UnsupportedMediaType 415
    └── NotAcceptable 406                                   └── Timeout 504

The server raises them; the client raises the same ones again from the bytes it received.
"""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of `details.causes`: a reason such as `FieldValueInvalid`, the field's path, a sentence."""

    reason: str
    field: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """A refusal with an HTTP code, a reason word and a sentence for a person."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        kind: str = "",
        group: str = "",
        name: str = "",
        causes: tuple[Cause, ...] = (),
        retry_after: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.group = group
        self.name = name
        self.causes = causes
        self.retry_after = retry_after

    def to_status(self) -> dict[str, Any]:
        """The `metav1.Status` document of this error."""
        details: dict[str, Any] = {}
        if self.name:
            details["name"] = self.name
        if self.group:
            details["group"] = self.group
        if self.kind:
            details["kind"] = self.kind
        if self.causes:
            details["causes"] = [cause.as_dict() for cause in self.causes]
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if details:
            status["details"] = details
        return status


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Expired(ApiError):
    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


_LEAVES: tuple[type[ApiError], ...] = (
    BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, Conflict, AlreadyExists,
    Expired, TooLarge, UnsupportedMediaType, Invalid, TooManyRequests, InternalError, ServiceUnavailable, Timeout,
)  # fmt: skip
_BY_REASON: dict[str, type[ApiError]] = {leaf.reason: leaf for leaf in _LEAVES} | {"Gone": Expired}
_BY_CODE: dict[int, type[ApiError]] = {leaf.code: leaf for leaf in reversed(_LEAVES)}


def parse_status(status: dict[str, Any], *, code: int) -> ApiError:
    """Turn a received Status document back into the exception it was; `code` decides where `reason` is strange."""
    details = status.get("details")
    details = details if isinstance(details, dict) else {}
    causes = details.get("causes")
    kind = _BY_REASON.get(str(status.get("reason"))) or _BY_CODE.get(code, InternalError)
    return kind(
        str(status.get("message") or f"the server answered {code}"),
        kind=details.get("kind", ""),
        group=details.get("group", ""),
        name=details.get("name", ""),
        causes=tuple(
            Cause(c.get("reason", ""), c.get("field", ""), c.get("message", ""))
            for c in (causes if isinstance(causes, list) else ())
            if isinstance(c, dict)
        ),
        retry_after=details.get("retryAfterSeconds", 0),
    )
