"""`kubesvc up`: start or repair a cluster, wait until it works, give the person's kubectl a context."""

import argparse
import time
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal
from kubesvc.cli.flags import add_name, add_quiet, apply_quiet, duration, node_count, require_root
from kubesvc.cli.output import Progress, say

if TYPE_CHECKING:
    from kubesvc.cluster.launch import Launched
    from kubesvc.cluster.ledger import Ledger, StateDirectory

DEFAULT_TIMEOUT = 60.0
_INTERVAL = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser)
    add_quiet(parser)
    parser.add_argument("--nodes", type=node_count, metavar="N", help="how many worker nodes (default: 1)")
    parser.add_argument(
        "--proxy-mode", choices=("nftables", "iptables"), help="how nodes program the kernel (default: nftables)"
    )
    parser.add_argument(
        "--no-load-balancer",
        dest="load_balancer",
        action="store_false",
        default=None,
        help="provide no load balancer: Services of that type stay <pending>",
    )
    parser.add_argument(
        "--load-balancer-pool",
        type=network,
        metavar="CIDR",
        help="the /24 to give load-balancer addresses from (default: one that clashes with nothing here)",
    )
    parser.add_argument(
        "--node-network",
        type=network,
        metavar="CIDR",
        help="the /24 for the nodes' addresses (default: one that clashes with nothing here)",
    )
    parser.add_argument(
        "--durability",
        choices=("disk", "process"),
        help="what the cluster's state survives. disk: also a crash of the machine; process: kill -9 of anything, but"
        " no such crash; for tests and demos, which then never wait for a busy disk (default: disk)",
    )
    parser.add_argument(
        "--kubeconfig",
        default="",
        metavar="FILE",
        help="the kubeconfig to add the context to (default: as kubectl: $KUBECONFIG, else ~/.kube/config)",
    )
    parser.add_argument(
        "--no-kubeconfig", action="store_true", help="touch no kubeconfig; `kubesvc kubeconfig` prints one"
    )
    parser.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="wait until the API answers, nodes are ready and names resolve on every node (default: yes)",
    )
    parser.add_argument(
        "--timeout", type=duration, default=DEFAULT_TIMEOUT, metavar="TIME", help="how long to wait (default: 60s)"
    )


def network(text: str) -> IPv4Network:
    """A /24, as argparse wants it."""
    try:
        parsed = IPv4Network(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r}: {err}") from err
    if parsed.prefixlen != 24:
        raise argparse.ArgumentTypeError(f"{text!r}: want a /24")
    return parsed


def run(args: argparse.Namespace) -> int:
    from kubesvc.cluster.launch import Wanted, check_supervised, launch

    apply_quiet(args)
    _check_networks(args)
    require_root("kubesvc up", args)
    path = "" if args.no_kubeconfig else _user_file(args.kubeconfig)
    progress = Progress()
    progress.doing("making the network")
    launched = launch(
        Wanted(
            name=args.name,
            nodes=args.nodes,
            proxy_mode=args.proxy_mode,
            load_balancer=args.load_balancer,
            pool=args.load_balancer_pool,
            node_network=args.node_network,
            durability=args.durability,
        )
    )
    _await_supervisor(launched, progress)
    topology = launched.ledger.topology
    if launched.report >= 0:
        nodes = "1 node" if len(topology.nodes) == 1 else f"{len(topology.nodes)} nodes"
        progress.done("network", f"{topology.node_network}, {nodes}")
    try:
        if path:
            _install_context(launched.state, launched.ledger, Path(path))
        if args.wait:
            _await_readiness(launched, progress, args.timeout)
    except FileNotFoundError:
        check_supervised(launched.state)
        raise
    progress.clear()
    _conclude(launched, progress, path, waited=args.wait)
    return exits.SUCCESS


def _check_networks(args: argparse.Namespace) -> None:
    if args.node_network is not None and args.node_network == args.load_balancer_pool:
        raise Refusal(
            f"--node-network and --load-balancer-pool name the same network, {args.node_network}",
            "give each a /24 of its own, or leave one of them out",
            code=exits.USAGE,
        )


def _await_supervisor(launched: "Launched", progress: Progress) -> None:
    """Wait for the supervisor to have started all roles; a cluster that cannot begin leaves nothing behind.

    The supervisor may be that of another `up` of the same cluster, which is still at it.
    """
    from kubesvc.cluster.launch import begun, read_report
    from kubesvc.cluster.ledger import ClusterError
    from kubesvc.cluster.teardown import destroy

    if launched.report < 0:
        while not begun(launched.state):
            progress.tick()
            time.sleep(_INTERVAL)
        return
    try:
        while not read_report(launched.report, timeout=0.1):
            progress.tick()
    except ClusterError:
        progress.clear()
        if launched.created:
            destroy(launched.ledger.name)
        raise


def _await_readiness(launched: "Launched", progress: Progress, timeout: float) -> None:
    from kubesvc.cluster.launch import check_supervised
    from kubesvc.cluster.readiness import NotReady, wait_until_ready
    from kubesvc.cluster.troubles import check_roles

    topology = launched.ledger.topology
    reached = {
        "api": ("API", f"https://127.0.0.1:{launched.ledger.api_port}", "waiting for the nodes"),
        "nodes": ("nodes", ", ".join(node.name for node in topology.nodes[:4]), "waiting for cluster DNS"),
        "dns": ("DNS", "answers on every node; rules in force", ""),
    }

    def stage(name: str) -> None:
        what, detail, following = reached[name]
        if launched.report >= 0:
            progress.done(what, detail)
        progress.doing(following)

    def alive() -> None:
        progress.tick()
        check_supervised(launched.state)
        check_roles(launched.state)

    progress.doing("waiting for the API")
    deadline = time.monotonic() + timeout
    try:
        wait_until_ready(launched.state, launched.ledger, deadline=deadline, stage=stage, alive=alive)
    except NotReady as err:
        progress.clear()
        raise Refusal(
            f"cluster {launched.ledger.name!r} is not ready after {timeout:.0f} s: {err}",
            f"kubesvc status --name {launched.ledger.name}, then kubesvc logs COMPONENT",
            code=exits.TIMED_OUT,
        ) from err


def _user_file(explicit: str) -> str:
    """The kubeconfig to write to, if that is possible. Raises KubeconfigError."""
    from kubesvc.cluster.kubeconfig_files import check_file, user_file

    path = user_file(explicit)
    check_file(path)
    return str(path)


def _install_context(state: "StateDirectory", ledger: "Ledger", path: Path) -> None:
    """Merge the context into the person's kubeconfig and note it in the ledger, for `down`."""
    from kubesvc.cluster.identities import user_entry
    from kubesvc.cluster.kubeconfig_files import install
    from kubesvc.cluster.ledger import locked_home

    with locked_home():
        current = state.read() or ledger
        context = install(path, user_entry(state, ledger))
        earlier = next((old for old in current.user_contexts if old.path == context.path), None)
        if earlier is not None:
            # The first `up` knows what was current before us.
            previous = context.previous or earlier.previous
            context = replace(earlier, previous=previous)
        others = tuple(old for old in current.user_contexts if old.path != context.path)
        state.update(user_contexts=(*others, context))


def _conclude(launched: "Launched", progress: Progress, path: str, *, waited: bool) -> None:
    name = launched.ledger.name
    if launched.report < 0:
        say(f"Cluster {name!r} is running already; nothing to do.")
    elif waited:
        verb = "is ready" if launched.created else "is repaired and ready"
        say(f"Cluster {name!r} {verb} after {progress.seconds:.2f} s.")
    else:
        say(f"Cluster {name!r} is starting; kubesvc status --name {name} says how far it is.")
    if path:
        say(f"Context {launched.ledger.topology.context!r} is in {path}. Try: kubectl get pods -A")
