"""A node, its pods, another node's pod and an outside host in network namespaces, for the proxy's tests.

    outside 192.0.2.9 ── 192.0.2.1 ┐
                                   node ── cni0 10.244.1.1 ── pod-a .2, pod-b .3
    remote  10.244.2.2 ── 10.99.0.1 ┘   (a pod of another node, routed)

Servers answer with their own name and the address they see as the client's.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from kubesvc.linux import netns

NODE_ADDRESS = "192.0.2.1"
OUTSIDE_ADDRESS = "192.0.2.9"
OTHER_ADDRESS = "198.51.100.3"
"""Another address of the outside host."""
PODS = {"pod-a": "10.244.1.2", "pod-b": "10.244.1.3", "remote": "10.244.2.2"}
PODS6 = {"pod-a": "fd00:244:1::2", "pod-b": "fd00:244:1::3", "remote": "fd00:244:2::2"}
NODE_ADDRESS6, OUTSIDE_ADDRESS6 = "2001:db8::1", "2001:db8::9"
PORT = 8080


@dataclass
class Net:
    """Names of namespaces by role, and the servers that run in them."""

    prefix: str
    servers: list["Server"] = field(default_factory=list)

    def name(self, role: str) -> str:
        return f"{self.prefix}-{role}"

    def ip(self, role: str, *command: str) -> str:
        return run("ip", "-n", self.name(role), *command)

    def exec(self, role: str, *command: str) -> str:
        return run("ip", "netns", "exec", self.name(role), *command)

    def ask(
        self,
        role: str,
        address: str,
        port: int,
        *,
        udp: bool = False,
        source: str = "",
        source_port: int = 0,
        timeout: float = 0.4,
    ) -> str:
        """Connect from a role: `SERVER CLIENT-ADDRESS`, "refused" or "silence"."""

        def connect() -> str:
            return _ask(address, port, udp=udp, source=source, source_port=source_port, timeout=timeout)

        return netns.run_in(self.name(role), connect)


@dataclass
class Server:
    """Sockets that answer until `stop` is set; their threads look at it ten times a second."""

    stop: threading.Event
    sockets: list[socket.socket]
    threads: list[threading.Thread]

    def close(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for each in self.sockets:
            each.close()


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def _ask(address: str, port: int, *, udp: bool, source: str, source_port: int, timeout: float) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        if source or source_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((source, source_port))
        try:
            sock.connect((address, port))
            if udp:
                sock.send(b"?")
            return sock.recv(200).decode()
        except (ConnectionRefusedError, PermissionError):
            return "refused"
        except TimeoutError:
            return "silence"
        except OSError as err:
            return os.strerror(err.errno or 0)


def serve(net: Net, role: str, port: int = PORT) -> None:
    """Answer on TCP and UDP in a role's namespace until the net is taken down."""
    stop = threading.Event()
    tcp, udp = netns.run_in(
        net.name(role), lambda: (_listen(socket.SOCK_STREAM, port), _listen(socket.SOCK_DGRAM, port))
    )
    threads = [
        threading.Thread(target=_serve_tcp, args=(tcp, role, stop), daemon=True),
        threading.Thread(target=_serve_udp, args=(udp, role, stop), daemon=True),
    ]
    for thread in threads:
        thread.start()
    net.servers.append(Server(stop, [tcp, udp], threads))


def _listen(kind: socket.SocketKind, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    sock.settimeout(0.1)
    if kind == socket.SOCK_STREAM:
        sock.listen(128)
    return sock


def _serve_tcp(listener: socket.socket, role: str, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            connection, peer = listener.accept()
        except TimeoutError:
            continue
        with connection, suppress(OSError):
            connection.sendall(f"{role} {peer[0].removeprefix('::ffff:')}".encode())


def _serve_udp(sock: socket.socket, role: str, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError):
            _, peer = sock.recvfrom(100)
            sock.sendto(f"{role} {peer[0].removeprefix('::ffff:')}".encode(), peer)


@contextmanager
def topology() -> Iterator[Net]:
    """The whole picture above, taken down at the end."""
    net = Net(f"kpx{os.getpid()}")
    roles = ("node", "outside", *PODS)
    try:
        for role in roles:
            netns.create(net.name(role))
        _wire(net)
        for role in PODS:
            serve(net, role)
        yield net
    finally:
        for server in net.servers:
            server.close()
        for role in roles:
            netns.delete(net.name(role))


def _wire(net: Net) -> None:
    for role in ("node", "outside", *PODS):
        for key in ("net.ipv6.conf.all.accept_dad", "net.ipv6.conf.default.accept_dad"):
            net.exec(role, "sysctl", "-qw", f"{key}=0")
        # A redirect uses up what the kernel allows in ICMP errors to its receiver, and a refusal is one.
        for key in ("net.ipv4.conf.all.send_redirects", "net.ipv4.conf.default.send_redirects"):
            net.exec(role, "sysctl", "-qw", f"{key}=0")
    node = net.name("node")
    net.exec("node", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    _link(
        net, "outside", "out0", NODE_ADDRESS, f"{OUTSIDE_ADDRESS}/24", NODE_ADDRESS6, f"{OUTSIDE_ADDRESS6}/64", 24, 64
    )
    net.ip("outside", "addr", "add", f"{OTHER_ADDRESS}/32", "dev", "lo")
    net.ip("node", "route", "add", OTHER_ADDRESS, "via", OUTSIDE_ADDRESS)
    _link(net, "remote", "far0", "10.244.2.1", "10.244.2.2/24", "fd00:244:2::1", "fd00:244:2::2/64", 24, 64)
    net.ip("node", "route", "add", "default", "via", OUTSIDE_ADDRESS)
    net.ip("node", "-6", "route", "add", "default", "via", OUTSIDE_ADDRESS6)
    net.ip("node", "link", "add", "cni0", "type", "bridge")
    net.ip("node", "addr", "add", "10.244.1.1/24", "dev", "cni0")
    net.ip("node", "addr", "add", "fd00:244:1::1/64", "dev", "cni0", "nodad")
    net.ip("node", "link", "set", "cni0", "up")
    for role in ("pod-a", "pod-b"):
        net.ip(role, "link", "add", "eth0", "type", "veth", "peer", "name", f"v{role}", "netns", node)
        net.ip("node", "link", "set", f"v{role}", "master", "cni0", "up")
        net.exec("node", "bridge", "link", "set", "dev", f"v{role}", "hairpin", "on")
        net.ip(role, "addr", "add", f"{PODS[role]}/24", "dev", "eth0")
        net.ip(role, "addr", "add", f"{PODS6[role]}/64", "dev", "eth0", "nodad")
        net.ip(role, "link", "set", "eth0", "up")
        net.ip(role, "route", "add", "default", "via", "10.244.1.1")
        net.ip(role, "-6", "route", "add", "default", "via", "fd00:244:1::1")


def _link(net: Net, role: str, name: str, near: str, far: str, near6: str, far6: str, bits: int, bits6: int) -> None:
    net.ip(role, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", net.name("node"))
    net.ip("node", "addr", "add", f"{near}/{bits}", "dev", name)
    net.ip("node", "addr", "add", f"{near6}/{bits6}", "dev", name, "nodad")
    net.ip("node", "link", "set", name, "up")
    net.ip(role, "addr", "add", far, "dev", "eth0")
    net.ip(role, "addr", "add", far6, "dev", "eth0", "nodad")
    net.ip(role, "link", "set", "eth0", "up")
    net.ip(role, "route", "add", "default", "via", near)
    net.ip(role, "-6", "route", "add", "default", "via", near6)
