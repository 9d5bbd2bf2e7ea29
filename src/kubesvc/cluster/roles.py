"""The composition root: which roles a cluster has, where each runs, and with what options.

The packages of the roles are imported inside the children: their memory and their time then belong
to the one process that uses them, while what all share has been imported by the parent before.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from kubesvc.aio.runner import run_all, run_until_signal
from kubesvc.cluster import identities
from kubesvc.cluster.children import Role
from kubesvc.cluster.ledger import Ledger, StateDirectory
from kubesvc.cluster.topology import (
    API_PORT,
    CLUSTER_DNS,
    CLUSTER_DOMAIN,
    KUBELET_PORT,
    POD_CIDR,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
    SERVICE_CIDR,
    NodeSite,
)
from kubesvc.linux import netns

Main = Callable[[], Coroutine[Any, Any, None]]

API_SERVER = "apiserver"
_BACKLOG = 1024


def open_api_sockets(ledger: Ledger) -> tuple[socket.socket, ...]:
    """The API's listening sockets: on loopback for people, on the router's address for the cluster.

    The supervisor keeps them, so that a connection made while the API server restarts waits
    instead of being refused. Raises OSError when the loopback port is taken.
    """
    router = str(ledger.topology.router_address)
    with netns.entered(ledger.topology.router_netns):
        inside = _listen(router, API_PORT)
    return _listen("127.0.0.1", ledger.api_port), inside


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def compose(state: StateDirectory, ledger: Ledger, sockets: tuple[socket.socket, ...]) -> tuple[Role, ...]:
    """All roles of the cluster; the order is the order in which they start."""
    router = ledger.topology.router_netns
    return (
        _role(API_SERVER, router, _api_server(state, ledger, sockets), keeps=tuple(s.fileno() for s in sockets)),
        _role("controllers", router, _controllers(state, ledger), fingerprint=_pool(ledger)),
        *(role for node in ledger.topology.nodes for role in _node_roles(state, ledger, node)),
    )


def role_places(ledger: Ledger) -> dict[str, str]:
    """The namespace of each role, by the role's name."""
    return {role.name: role.namespace for role in compose(StateDirectory(ledger.name), ledger, ())}


def _node_roles(state: StateDirectory, ledger: Ledger, node: NodeSite) -> tuple[Role, ...]:
    return (
        _role(f"{node.name}.agent", node.netns, _agent(state, ledger, node)),
        _role(f"{node.name}.proxy", node.netns, _proxy(state, ledger, node), fingerprint=ledger.proxy_mode),
    )


def _role(name: str, namespace: str, main: Main, *, fingerprint: str = "", keeps: tuple[int, ...] = ()) -> Role:
    """A role that is an event loop, from `main`, which makes its coroutine, until SIGTERM."""

    def serve() -> None:
        asyncio.run(run_until_signal(main(), name=name))

    return Role(name, namespace, serve, fingerprint=fingerprint, keeps=keeps)


def _api_server(state: StateDirectory, ledger: Ledger, sockets: tuple[socket.socket, ...]) -> Main:
    def main() -> Coroutine[Any, Any, None]:
        from kubesvc.apiserver.run import ApiServerOptions, run
        from kubesvc.store.types import Durability

        return run(
            ApiServerOptions(
                listeners=sockets,
                tls_cert=state.pki / "apiserver.crt",
                tls_key=state.pki / "apiserver.key",
                ca_cert=state.pki / "ca.crt",
                tokens_file=state.tokens_file,
                database=state.database,
                service_cidr=str(SERVICE_CIDR),
                advertise_address=str(ledger.topology.router_address),
                advertise_port=API_PORT,
                sa_signing_key=state.pki / "sa.key",
                kubelet_token_file=state.kubelet_token_file,
                kubelet_ca=state.pki / "ca.crt",
                durability=Durability(ledger.durability),
            )
        )

    return main


def _controllers(state: StateDirectory, ledger: Ledger) -> Main:
    """The controllers and, as a cloud's manager has its routes, the announcer: one process, 12 MB less than two."""

    def main() -> Coroutine[Any, Any, None]:
        from kubesvc.cluster import announcer
        from kubesvc.controllers.run import ControllersOptions, run

        controllers = ControllersOptions(
            kubeconfig=state.kubeconfig(identities.CONTROLLERS),
            cluster_ca=state.pki / "ca.crt",
            load_balancer_pool=_pool(ledger),
            cluster_cidr=str(POD_CIDR),
        )
        announcing = announcer.AnnouncerOptions(
            kubeconfig=state.kubeconfig(identities.ANNOUNCER),
            pool=ledger.topology.pool,
            bootstrapped=state.root / "bootstrapped",
        )
        return run_all({"controllers": run(controllers), "announcer": announcer.run(announcing)})

    return main


def _pool(ledger: Ledger) -> str:
    """The pool that addresses are given from, "" with the load balancer off."""
    return ledger.pool if ledger.load_balancer else ""


def _agent(state: StateDirectory, ledger: Ledger, node: NodeSite) -> Main:
    def main() -> Coroutine[Any, Any, None]:
        from kubesvc.cluster.images import builtins
        from kubesvc.node.run import NodeOptions, run

        return run(
            NodeOptions(
                kubeconfig=state.kubeconfig(node.name),
                node_name=node.name,
                node_ip=str(node.address),
                pod_cidr=str(node.pod_cidr),
                cluster_dns=str(CLUSTER_DNS),
                cluster_domain=CLUSTER_DOMAIN,
                state_dir=state.node_state(node.name),
                kubelet_port=KUBELET_PORT,
                tls_cert=state.pki / f"kubelet-{node.name}.crt",
                tls_key=state.pki / f"kubelet-{node.name}.key",
                kubelet_token_file=state.kubelet_token_file,
                labels={},
                netns=node.netns,
                builtins=builtins(),
            )
        )

    return main


def _proxy(state: StateDirectory, ledger: Ledger, node: NodeSite) -> Main:
    def main() -> Coroutine[Any, Any, None]:
        from kubesvc.proxy.run import ProxyOptions, run

        return run(
            ProxyOptions(
                kubeconfig=state.kubeconfig(identities.PROXY),
                node_name=node.name,
                mode=ledger.proxy_mode,
                cluster_cidr=str(POD_CIDR),
                service_cidrs=(str(SERVICE_CIDR),),
                healthz_bind=f"{node.address}:{PROXY_HEALTH_PORT}",
                metrics_bind=f"{node.address}:{PROXY_METRICS_PORT}",
            )
        )

    return main
