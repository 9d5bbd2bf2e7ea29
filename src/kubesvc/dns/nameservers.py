"""The addresses of servers to ask, as they are written on a command line, in a Corefile or a resolv.conf."""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple


class Upstream(NamedTuple):
    """The address of a server to ask."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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
