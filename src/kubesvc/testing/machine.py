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

from kubesvc.cluster.network import cluster_namespaces
from kubesvc.cluster.topology import host_link
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


def snapshot(cluster: str, *, mark: str) -> Machine:
    """Look at everything now, leaving out what belongs to clusters of other names.

    Processes are those with `mark` in the environment that they, or the ancestor that was last
    executed, were started with.
    """
    own = host_link(cluster)
    with RouteSocket() as route:
        links = [link for link in route.links() if _ours_or_the_machines(link.name, own)]
        addresses = [address for address in route.addresses() if _ours_or_the_machines(address.link, own)]
        routes = [entry for entry in route.routes(table=None) if _ours_or_the_machines(entry.dev, own)]
        rules = route.rules()
    return Machine(
        namespaces=frozenset(cluster_namespaces(cluster)),
        links=frozenset(f"{link.name} {link.kind} up={link.up}" for link in links),
        addresses=frozenset(f"{address.link} {address.address}" for address in addresses),
        routes=frozenset(map(str, routes)),
        rules=frozenset(map(str, rules)),
        mounts=frozenset(f"{mount.path} {mount.kind}" for mount in mount_points() if mount.kind != "nsfs"),
        settings=frozenset(f"{name}={_read(Path('/proc/sys', name))}" for name in _SYSCTLS),
        firewall=frozenset(line for command in _TABLES for line in _rules(command)),
        processes=frozenset(_processes(mark.encode())),
    )


def _ours_or_the_machines(link: str, own: str) -> bool:
    return link == own or not link.startswith("ksv-")


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


def _processes(mark: bytes) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        try:
            environment = Path("/proc", entry, "environ").read_bytes()
        except OSError:
            continue
        # A zombie has no environment any more: it only waits for its parent.
        if mark in environment:
            found.append(f"{_read(Path('/proc', entry, 'comm'))} {entry}")
    return found
