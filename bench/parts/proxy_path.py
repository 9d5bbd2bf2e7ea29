"""Packets through a ClusterIP beside packets through one hand-written DNAT rule.

    client 10.1.0.2 ── 10.1.0.1 node with the proxy  10.3.0.1 ── 10.3.0.2 server, which has all
           10.2.0.2 ── 10.2.0.1 node with one rule   10.4.0.1 ── 10.4.0.2 endpoints' addresses

The node with the proxy is this namespace; the others are made here and end with it. Run by itself,
this file is the server (`serve`) or the load (`connect|request|stream PAIRS SECONDS ADDRESS…`).
"""

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

HAND_VIP = "10.99.0.1"
PORT, SERVER_PORT = 80, 8080
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_REQUEST = b"GET / HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"
_HAND_RULE = f"""
table ip hand {{
  chain prerouting {{
    type nat hook prerouting priority -100;
    ip daddr {HAND_VIP} tcp dport {PORT} dnat to ADDRESS:{SERVER_PORT}
  }}
}}
"""


def run(*command: str, given: str = "") -> str:
    return subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout


@contextmanager
def topology(endpoints: Sequence[str]) -> Iterator[None]:
    """The other three namespaces, their links and routes, and a server at `endpoints`."""
    for name in ("client", "hand", "server"):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    _link("", "10.1.0.1", "client", "10.1.0.2")
    _link("hand", "10.2.0.1", "client", "10.2.0.2")
    _link("", "10.3.0.1", "server", "10.3.0.2")
    _link("hand", "10.4.0.1", "server", "10.4.0.2")
    for address in endpoints:
        run("ip", "-n", "server", "addr", "add", f"{address}/32", "dev", "lo")
    _route("client", "10.96.0.0/16", "10.1.0.1")
    _route("client", HAND_VIP, "10.2.0.1")
    _route("", "10.128.0.0/9", "10.3.0.2")
    _route("hand", "10.128.0.0/9", "10.4.0.2")
    _route("server", "10.1.0.0/24", "10.3.0.1")
    _route("server", "10.2.0.0/24", "10.4.0.1")
    run(*_in("hand"), "nft", "-f", "-", given=_HAND_RULE.replace("ADDRESS", endpoints[0]))
    for name in ("", "hand"):
        run(*_in(name), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        # Flows that have ended shall not fill the table in the course of the measurement.
        for state in ("close", "time_wait"):
            run(*_in(name), "sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_tcp_timeout_{state}=1")
    server = subprocess.Popen([*_in("server"), sys.executable, __file__, "serve"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        yield
    finally:
        server.kill()
        server.wait()
        for name in ("client", "hand", "server"):
            run("ip", "netns", "delete", name)


def load(kind: str, pairs: int, seconds: float, *addresses: str) -> list[list[float]]:
    """What one client achieves through addresses by turns: connections, or bytes, per second."""
    command = [*_in("client"), sys.executable, __file__, kind, str(pairs), str(seconds), *addresses]
    found: list[list[float]] = json.loads(run(*command))
    return found


def _in(name: str) -> list[str]:
    return ["ip", "netns", "exec", name] if name else []


def _link(left: str, left_address: str, right: str, right_address: str) -> None:
    ends = [f"v{address.replace('.', '')}" for address in (left_address, right_address)]
    run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
    for name, end, address in ((left, ends[0], left_address), (right, ends[1], right_address)):
        if name:
            run("ip", "link", "set", end, "netns", name)
        run(*_in(name), "ip", "addr", "add", f"{address}/24", "dev", end)
        run(*_in(name), "ip", "link", "set", end, "up")


def _route(name: str, to: str, via: str) -> None:
    run(*_in(name), "ip", "route", "add", to, "via", via)


def serve() -> None:
    """Take one connection after the other: answer a request, read anything else to its end."""
    buffer = bytearray(1 << 20)
    with socket.create_server(("0.0.0.0", SERVER_PORT), backlog=4096) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    while count := connection.recv_into(buffer):
                        if buffer[:3] == b"GET" and count < 1000:
                            connection.send(_ANSWER)
                except ConnectionError:
                    pass


def connect(address: str) -> int:
    """A connection that is made and reset at once."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        client.connect((address, PORT))
    return 1


def request(address: str) -> int:
    """A connection that carries one small request and its answer."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        client.connect((address, PORT))
        client.send(_REQUEST)
        client.recv(4096)
    return 1


def stream(address: str) -> int:
    """Some megabytes over a connection; how many bytes."""
    data, count = bytes(1 << 18), 0
    with socket.create_connection((address, PORT)) as client:
        for _ in range(256):
            client.sendall(data)
            count += len(data)
    return count


def take_turns(kind: str, pairs: int, seconds: float, addresses: Sequence[str]) -> list[list[float]]:
    """Rates per address, turn by turn: what else the machine does meets all of them alike."""
    act = {"connect": connect, "request": request, "stream": stream}[kind]
    turns = []
    for _ in range(pairs):
        rates = []
        for address in addresses:
            count, began = 0, time.perf_counter()
            while (taken := time.perf_counter() - began) < seconds:
                count += act(address)
            rates.append(count / taken)
        turns.append(rates)
    return turns


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case [kind, pairs, seconds, *addresses]:
            print(json.dumps(take_turns(kind, int(pairs), float(seconds), addresses)))
