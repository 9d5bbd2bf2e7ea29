"""How requests reach an API server: the seam that tests replace."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

NO_QUERY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer: the status code, the headers (names as sent), the body's bytes."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Carries requests; knows nothing of resources."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Response:
        """Send one request and return its whole answer, whatever its status; raise ConnectionFailed."""
        ...

    def stream(
        self, path: str, *, query: Mapping[str, str] = NO_QUERY
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch: iterate over its JSON frames, one bytes object each.

        A refusal raises ApiError on entry; a lost connection raises ConnectionFailed; the server's
        orderly end of the stream ends the iteration.
        """
        ...

    async def close(self) -> None:
        """Close the connections; the transport cannot be used afterwards."""
        ...
