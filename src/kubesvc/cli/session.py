"""Run a command's coroutine with a connected client."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from kubesvc.cli.access import connect

if TYPE_CHECKING:
    from kubesvc.client.rest import Client

T = TypeVar("T")


def with_client(args: argparse.Namespace, body: Callable[["Client"], Awaitable[T]]) -> T:
    """The value of `body(client)`; the connection is closed whatever happens."""

    async def main() -> T:
        async with connect(args) as client:
            return await body(client)

    return asyncio.run(main())
