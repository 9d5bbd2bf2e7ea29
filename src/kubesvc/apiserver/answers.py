"""What the API answers, before HTTP: a body, a stream of chunks, or a tunnel to somewhere else."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubesvc.api.status import ApiError
from kubesvc.apiserver.documents import Document, to_json

JSON = "application/json"


@dataclass(slots=True)
class Answer:
    """A whole answer."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Stream:
    """An answer without a known end: `close` makes it come soon, and is called in any case."""

    chunks: AsyncGenerator[bytes, None]
    close: Callable[[], None]
    content_type: str = JSON
    status: int = 200


@dataclass(slots=True)
class Tunnel:
    """An answer that takes over the connection: `serve` gets the server's own request object."""

    serve: Callable[[Any], Awaitable[Any]]


Reply = Answer | Stream | Tunnel


def of_document(document: Document, status: int = 200) -> Answer:
    return Answer(to_json(document) + b"\n", status)


def of_error(error: ApiError) -> Answer:
    """The Status of a refusal, with `Retry-After` where it names a time."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return Answer(to_json(error.to_status()) + b"\n", error.code, headers=headers)


def plain(text: str, status: int = 200) -> Answer:
    return Answer(text.encode(), status, "text/plain; charset=utf-8")
