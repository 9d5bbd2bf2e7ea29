"""What `status` reports of a cluster, as one JSON-like document."""

from typing import Any

from kubesvc.cluster.ledger import StateDirectory
from kubesvc.cluster.processes import children_of, name_of, proportional_memory
from kubesvc.cluster.readiness import is_ready
from kubesvc.cluster.records import KEEPER, SUPERVISOR, running
from kubesvc.cluster.roles import role_places
from kubesvc.cluster.topology import check_name

# The process from which an agent forks its pods belongs to the agent, what it has forked to the pods.
_SPAWNER = "kubesvc-spawner"


def cluster_status(name: str) -> dict[str, Any] | None:
    """None when there is no such cluster. Memory is the proportional set size in bytes, all of the pods' aside."""
    state = StateDirectory(check_name(name))
    ledger = state.read()
    if ledger is None:
        return None
    alive = running(state)
    places = {SUPERVISOR: "host", KEEPER: "host", **role_places(ledger)}
    components: list[dict[str, Any]] = [
        {
            "name": role,
            "namespace": namespace,
            "pid": alive[role].pid if role in alive else 0,
            "memoryBytes": _memory(alive[role].pid) if role in alive else 0,
        }
        for role, namespace in places.items()
    ]
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
        "memoryBytes": sum(component["memoryBytes"] for component in components),
        "components": components,
    }


def _memory(pid: int) -> int:
    """What a role takes, with the spawner that an agent has beside itself."""
    return sum(map(proportional_memory, [pid, *(child for child in children_of(pid) if name_of(child) == _SPAWNER)]))
