"""Asking other servers: one question, one upstream, UDP and then TCP where needed.

Each question goes out from a socket of its own, so that the kernel draws a fresh port for it, and
carries a random ID and a random spelling of the name (0x20): an answer has to get all three right.
"""

import asyncio
import secrets
import socket
from contextlib import suppress
from functools import partial

from kubesvc.dns import wire
from kubesvc.dns.answers import AskByTcp, Resolution, read_answer
from kubesvc.dns.connections import Connections
from kubesvc.dns.nameservers import Upstream
from kubesvc.dns.wire import BadMessage

_MOST_STRAYS = 20


class UpstreamFailed(Exception):
    """An upstream gave no usable answer; the message says which one and why."""


async def exchange(
    upstream: Upstream,
    name: bytes,
    qtype: int,
    *,
    dnssec_ok: bool = False,
    timeout: float,
    by_tcp: bool = False,
    recursive: bool = True,
    connections: Connections | None = None,
) -> Resolution:
    """Ask `upstream` about `name` (lower-case wire form), by UDP first unless `by_tcp`; raises UpstreamFailed.

    `recursive` asks it to go and find out itself. `connections` are used for TCP; without them none is kept.
    """
    spelled = _respell(name)
    identifier = secrets.randbelow(0x10000)
    query = wire.encode_query(identifier, spelled, qtype, dnssec_ok=dnssec_ok, recursive=recursive)
    question = query[wire.HEADER_SIZE : wire.HEADER_SIZE + len(spelled) + 4]
    try:
        async with asyncio.timeout(timeout):
            if not by_tcp:
                with suppress(AskByTcp):
                    return await _by_udp(upstream, query, identifier, question)
            read = partial(read_answer, identifier=identifier, question=question, by_udp=False)
            return await (connections or Connections()).ask(upstream, query, read)
    except TimeoutError as err:
        raise UpstreamFailed(f"{upstream}: no answer within {timeout:g} s") from err
    except (OSError, BadMessage, EOFError) as err:
        raise UpstreamFailed(f"{upstream}: {err or type(err).__name__}") from err


def _respell(name: bytes) -> bytes:
    """Upper and lower case at random, of letters only, so that an answer has to repeat it."""
    coins = secrets.randbits(8 * len(name))
    spelled = bytearray(name)
    at = 0
    while size := name[at]:
        for place in range(at + 1, at + 1 + size):
            if 0x61 <= name[place] <= 0x7A and coins >> place & 1:
                spelled[place] -= 0x20
        at += size + 1
    return bytes(spelled)


async def _by_udp(upstream: Upstream, query: bytes, identifier: int, question: bytes) -> Resolution:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in upstream.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        # Connected: datagrams from anyone else do not arrive, and a closed port is told at once.
        sock.connect(upstream)
        await loop.sock_sendall(sock, query)
        for _ in range(_MOST_STRAYS):
            message = await loop.sock_recv(sock, wire.MAX_MESSAGE)
            try:
                return read_answer(message, identifier=identifier, question=question, by_udp=True)
            except AskByTcp:
                raise
            except BadMessage:
                continue  # a lie, or an answer to something else: the real one may yet come
    raise UpstreamFailed(f"{upstream}: {_MOST_STRAYS} answers to other questions")
