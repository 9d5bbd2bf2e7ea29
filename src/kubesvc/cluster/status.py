"""What `status` reports of a cluster, as one JSON-like document."""

from typing import Any

from kubesvc.cluster.ledger import StateDirectory
from kubesvc.cluster.network import cluster_namespaces
from kubesvc.cluster.processes import find_members, proportional_memory
from kubesvc.cluster.readiness import is_ready
from kubesvc.cluster.records import KEEPER, SUPERVISOR, running
from kubesvc.cluster.roles import role_places
from kubesvc.cluster.topology import check_name


def cluster_status(name: str) -> dict[str, Any] | None:
    """None when there is no such cluster. Memory is the proportional set size in bytes, pods aside."""
    state = StateDirectory(check_name(name))
    ledger = state.read()
    if ledger is None:
        return None
    alive = running(state)
    places = {SUPERVISOR: "host", KEEPER: "host", **role_places(ledger)}
    components = [
        {
            "name": role,
            "namespace": namespace,
            "pid": alive[role].pid if role in alive else 0,
            "memoryBytes": proportional_memory(alive[role].pid) if role in alive else 0,
        }
        for role, namespace in places.items()
    ]
    # The roles, their helpers and the pods' shims; what runs inside pods is not among them.
    members = find_members(state.root, cluster_namespaces(name))
    topology = ledger.topology
    return {
        "name": name,
        "ready": len(alive) == len(places) and is_ready(state, ledger),
        "api": f"https://127.0.0.1:{ledger.api_port}",
        "context": topology.context,
        "nodeNetwork": ledger.node_network,
        "nodes": [{"name": node.name, "address": str(node.address), "netns": node.netns} for node in topology.nodes],
        "proxyMode": ledger.proxy_mode,
        "loadBalancer": ledger.pool if ledger.load_balancer else "",
        "memoryBytes": sum(proportional_memory(member.pid) for member in members),
        "components": components,
    }
