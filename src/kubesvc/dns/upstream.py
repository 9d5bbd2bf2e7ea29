"""Asking other servers: one question, one upstream, UDP and then TCP where needed.

Each question goes out from a socket of its own, so that the kernel draws a fresh port for it, and
carries a random ID and a random spelling of the name (0x20): an answer has to get all three right.
"""

import asyncio
import secrets
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.answers import AskByTcp, Resolution, read_answer
from kubesvc.dns.wire import BadMessage

_MOST_STRAYS = 20


class UpstreamFailed(Exception):
    """An upstream gave no usable answer; the message says which one and why."""


class Upstream(NamedTuple):
    """The address of a server to ask."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


async def exchange(
    upstream: Upstream, name: bytes, qtype: int, *, dnssec_ok: bool = False, timeout: float, by_tcp: bool = False
) -> Resolution:
    """Ask `upstream` about `name` (lower-case wire form), by UDP first unless `by_tcp`; raises UpstreamFailed."""
    spelled = _respell(name)
    identifier = secrets.randbelow(0x10000)
    query = wire.encode_query(identifier, spelled, qtype, dnssec_ok=dnssec_ok)
    question = query[wire.HEADER_SIZE : wire.HEADER_SIZE + len(spelled) + 4]
    try:
        async with asyncio.timeout(timeout):
            if by_tcp:
                return await _by_tcp(upstream, query, identifier, question)
            try:
                return await _by_udp(upstream, query, identifier, question)
            except AskByTcp:
                return await _by_tcp(upstream, query, identifier, question)
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
    with socket.socket(upstream.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
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


async def _by_tcp(upstream: Upstream, query: bytes, identifier: int, question: bytes) -> Resolution:
    reader, writer = await asyncio.open_connection(upstream.host, upstream.port)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        size = int.from_bytes(await reader.readexactly(2), "big")
        answer = await reader.readexactly(size)
        return read_answer(answer, identifier=identifier, question=question, by_udp=False)
    finally:
        writer.close()


def parse_upstream(text: str) -> Upstream:
    """`10.0.0.1`, `10.0.0.1:5353`, `fd00::1` or `[fd00::1]:5353`; raises ValueError."""
    host, port = text, "53"
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"upstream {text!r}: {port!r} is no port")
    try:
        return Upstream(str(ip_address(host)), int(port))
    except ValueError as err:
        raise ValueError(f"upstream {text!r}: {host!r} is no address") from err


def read_upstreams(texts: Iterable[str]) -> list[Upstream]:
    """The servers that `texts` name, each an address or the path of a resolv.conf.

    Raises ValueError for text that is neither, and OSError when a file cannot be read.
    """
    found: dict[Upstream, None] = {}
    for text in texts:
        if "/" in text:
            servers = parse_resolv_conf(Path(text).read_text(errors="replace"))
            if not servers:
                raise ValueError(f"{text}: no nameserver in it")
            found.update(dict.fromkeys(servers))
        else:
            found[parse_upstream(text)] = None
    return list(found)


def parse_resolv_conf(text: str) -> list[Upstream]:
    """The nameservers of a resolv.conf, in order; lines that name no address are passed over."""
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                servers.append(Upstream(str(ip_address(words[1].partition("%")[0]))))
            except ValueError:
                continue
    return servers
