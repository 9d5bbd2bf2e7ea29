"""What a cluster could leave behind on a machine, as one comparable value.

before = snapshot()
with Cluster():
    ...
assert snapshot() == before
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

from kubesvc.linux import netns
from kubesvc.linux.mounts import mount_points
from kubesvc.linux.netlink import RouteSocket

_SYSCTLS = ("net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/all/forwarding")
_TABLES = (("nft", "list", "ruleset"), ("iptables-save",), ("iptables-legacy-save",))


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine's namespaces, links, addresses, routes, policy rules, mounts, settings, firewall and processes."""

    namespaces: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    rules: frozenset[str]
    mounts: frozenset[str]
    settings: frozenset[str]
    firewall: frozenset[str]
    processes: frozenset[str]

    def differences(self, later: "Machine") -> list[str]:
        """What `later` has more (+) or less (-), one line each."""
        lines = []
        for field in fields(self):
            before, after = getattr(self, field.name), getattr(later, field.name)
            lines += [f"+ {field.name}: {item}" for item in sorted(after - before)]
            lines += [f"- {field.name}: {item}" for item in sorted(before - after)]
        return lines


def snapshot(*, mark: str = "ksv-") -> Machine:
    """Look at everything now. Of namespaces and processes only those named `mark...` count: others come and go."""
    with RouteSocket() as route:
        links = frozenset(f"{link.name} {link.kind} up={link.up}" for link in route.links())
        addresses = frozenset(f"{address.link} {address.address}" for address in route.addresses())
        routes = frozenset(map(str, route.routes(table=None)))
        rules = frozenset(map(str, route.rules()))
    return Machine(
        namespaces=frozenset(name for name in netns.names() if name.startswith(mark)),
        links=links,
        addresses=addresses,
        routes=routes,
        rules=rules,
        mounts=frozenset(f"{mount.path} {mount.kind}" for mount in mount_points() if mount.kind != "nsfs"),
        settings=frozenset(f"{name}={_read(Path('/proc/sys', name))}" for name in _SYSCTLS),
        firewall=frozenset(line for command in _TABLES for line in _rules(command)),
        processes=frozenset(_processes(mark)),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _rules(command: tuple[str, ...]) -> list[str]:
    """The lines of a firewall dump, without the comments that carry the time."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return []
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


def _processes(mark: str) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            # "pid (name) state ...": a zombie is no process any more, it waits for its parent.
            head, _, tail = _read(Path("/proc", entry, "stat")).rpartition(")")
            name = head.partition("(")[2]
            if name.startswith((mark, "kubesvc-")) and not tail.startswith((" Z", " X")):
                found.append(f"{name} {entry}")
    return found
