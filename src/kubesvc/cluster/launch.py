"""`up`: make a cluster, or repair one, and leave a supervisor behind."""

import json
import os
import select
import signal
import socket
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from kubesvc.cluster.addresses import Networks, choose_networks
from kubesvc.cluster.claims import Claimed, Claims, cluster_claim, network_claim
from kubesvc.cluster.daemon import daemonise
from kubesvc.cluster.ledger import (
    ClusterError,
    Ledger,
    StateDirectory,
    StateError,
    clusters,
    home,
    locked_home,
    remove_empty_home,
)
from kubesvc.cluster.records import KEEPER, SUPERVISOR, running, supervisor_alive
from kubesvc.cluster.topology import MAX_NODES, check_name
from kubesvc.linux.mounts import is_chroot

_LEAST_SPACE = 2 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `up` was asked for; None leaves the choice to kubesvc or to the existing cluster."""

    name: str
    nodes: int | None = None
    proxy_mode: str | None = None
    load_balancer: bool | None = None
    pool: IPv4Network | None = None
    node_network: IPv4Network | None = None
    durability: str | None = None


@dataclass(frozen=True, slots=True)
class Launched:
    """`report` is the reading end of the new supervisor's pipe, or -1 when the cluster was running already."""

    ledger: Ledger
    state: StateDirectory
    report: int
    created: bool


def launch(wanted: Wanted) -> Launched:
    """Return as soon as a supervisor is on its way. Raises ClusterError, StateError, NoFreeNetwork, BadName."""
    state = StateDirectory(check_name(wanted.name))
    with locked_home(), Claims() as claims:
        ledger = state.read()
        created = ledger is None
        if ledger is not None:
            _check_same(ledger, wanted)
            if supervisor_alive(state):
                return Launched(ledger, state, report=-1, created=False)
            _end_keepers(state)
        try:
            _claim_name(claims, state.name)
            if ledger is None:
                ledger = _new_cluster(state, wanted, claims)
            else:
                _claim_networks(claims, ledger)
        except Exception:
            remove_empty_home()  # a refusal leaves nothing behind
            raise
        return Launched(ledger, state, report=daemonise(state, claims.descriptors()), created=created)


def switch_load_balancer(name: str, *, on: bool) -> tuple[Ledger, bool]:
    """Switch the provider of a running cluster; returns its ledger and whether anything changed."""
    state = StateDirectory(check_name(name))
    with locked_home():
        ledger = state.read()
        if ledger is None:
            raise ClusterError(f"there is no cluster {name!r}", f"sudo kubesvc up --name {name}")
        if ledger.load_balancer == on:
            return ledger, False
        ledger = state.update(load_balancer=on)
        supervisor = running(state).get(SUPERVISOR)
        if supervisor is None:
            raise ClusterError(f"the supervisor of cluster {name!r} is not running", f"sudo kubesvc up --name {name}")
        os.kill(supervisor.pid, signal.SIGHUP)
    return ledger, True


def begun(state: StateDirectory) -> bool:
    """Whether the supervisor has started its roles. Raises ClusterError when there is none any more."""
    if running(state).get(SUPERVISOR) is not None:
        return True
    if not supervisor_alive(state):
        raise _unsupervised(state)
    return False


def check_supervised(state: StateDirectory) -> None:
    """Raise ClusterError unless a supervisor is alive, or its keeper: without them, waiting is pointless."""
    if not supervisor_alive(state) and KEEPER not in running(state):
        raise _unsupervised(state)


def _unsupervised(state: StateDirectory) -> ClusterError:
    if state.ledger_file.exists():
        return ClusterError(
            f"the supervisor of cluster {state.name!r} ended while it was waited for",
            f"kubesvc logs supervisor --name {state.name} says why; kubesvc up repairs the cluster",
        )
    return ClusterError(f"cluster {state.name!r} was removed while it was waited for", "run kubesvc up again")


def read_report(descriptor: int, *, timeout: float) -> bool:
    """Look at the supervisor's pipe: True once it has closed it, all roles started.

    Raises ClusterError with what the supervisor said when it could not.
    """
    if descriptor < 0:
        return True
    if not select.select([descriptor], [], [], timeout)[0]:
        return False
    said = os.read(descriptor, 65536)
    if not said:
        return True
    document = json.loads(said)
    raise ClusterError(document["error"], document.get("hint", ""))


def _end_keepers(state: StateDirectory) -> None:
    from kubesvc.cluster.keeper import end_keepers

    end_keepers(state)


def _claim_name(claims: Claims, name: str) -> None:
    try:
        claims.take(cluster_claim(name))
    except Claimed as err:
        raise ClusterError(
            f"a cluster {name!r} runs on this machine already, with its state elsewhere than in {home()}",
            "set KUBESVC_HOME as it was when that cluster was started, or choose another --name",
        ) from err


def _claim_networks(claims: Claims, ledger: Ledger) -> None:
    try:
        claims.take(network_claim(ledger.node_network), network_claim(ledger.pool))
    except Claimed as err:
        raise ClusterError(
            f"cluster {ledger.name!r}: {err.what} is now used by another cluster on this machine",
            f"sudo kubesvc down --name {ledger.name}; kubesvc up then chooses other networks",
        ) from err


def _choose_and_claim(claims: Claims, occupied: list[IPv4Network], wanted: Wanted) -> Networks:
    """Networks that are clear of everything, also of clusters that are just coming up elsewhere."""
    while True:
        networks = choose_networks(occupied, nodes=wanted.node_network, pool=wanted.pool)
        try:
            claims.take(network_claim(str(networks.nodes)), network_claim(str(networks.pool)))
        except Claimed as err:
            occupied.append(IPv4Network(err.what.partition("/")[2]))
        else:
            return networks


def _new_cluster(state: StateDirectory, wanted: Wanted, claims: Claims) -> Ledger:
    from kubesvc.cluster.network import occupied_networks

    nodes = 1 if wanted.nodes is None else wanted.nodes
    if not 1 <= nodes <= MAX_NODES:
        raise ClusterError(f"--nodes {nodes}: want 1 to {MAX_NODES}")
    occupied = occupied_networks()
    for other in clusters():
        occupied += [other.topology.node_network, other.topology.pool]
    networks = _choose_and_claim(claims, occupied, wanted)
    _check_space(home())
    _check_root()
    ledger = Ledger(
        name=wanted.name,
        node_network=str(networks.nodes),
        pool=str(networks.pool),
        node_count=nodes,
        api_port=_free_port(),
        proxy_mode=wanted.proxy_mode or "nftables",
        load_balancer=True if wanted.load_balancer is None else wanted.load_balancer,
        durability=wanted.durability or "disk",
    )
    try:
        state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise StateError(f"{state.root}: {err.strerror}") from err
    state.write(ledger)
    return ledger


def _check_space(directory: Path) -> None:
    """A disk that is full now would show as a cluster that never becomes ready."""
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    if free < _LEAST_SPACE:
        raise ClusterError(
            f"only {free >> 10} KiB are free on the disk of {directory}; a cluster needs {_LEAST_SPACE >> 20} MiB",
            "free some space, or point KUBESVC_HOME at another disk",
        )


def _check_root() -> None:
    if is_chroot():
        raise ClusterError(
            "this is a chroot: a pod's processes would see the file system around it instead of this one",
            "use a container, systemd-nspawn, or pivot_root in place of chroot",
        )


def _check_same(ledger: Ledger, wanted: Wanted) -> None:
    """An existing cluster keeps its shape; asking for another one is refused, not ignored."""
    asked = {
        "--nodes": (wanted.nodes, ledger.node_count),
        "--proxy-mode": (wanted.proxy_mode, ledger.proxy_mode),
        "--load-balancer-pool": (wanted.pool and str(wanted.pool), ledger.pool),
        "--durability": (wanted.durability, ledger.durability),
        "--node-network": (wanted.node_network and str(wanted.node_network), ledger.node_network),
    }
    for flag, (asked_value, has) in asked.items():
        if asked_value is not None and asked_value != has:
            raise ClusterError(
                f"cluster {ledger.name!r} exists with {flag} {has}, not {asked_value}",
                f"kubesvc down --name {ledger.name}, or another --name",
            )
    if wanted.load_balancer is not None and wanted.load_balancer != ledger.load_balancer:
        word = "on" if wanted.load_balancer else "off"
        raise ClusterError(
            f"cluster {ledger.name!r} runs with its load balancer {'on' if ledger.load_balancer else 'off'}",
            f"kubesvc load-balancer {word} --name {ledger.name}",
        )


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
