"""Wiring of the controllers of nodes: lifecycle, pod address ranges, pods of lost nodes."""

from collections.abc import Sequence

from kubesvc.aio.clock import Clock
from kubesvc.api.addresses import Network
from kubesvc.api.resources import LEASES, NODES, PODS, Key
from kubesvc.api.status import NotFound
from kubesvc.api.views import Lease, Node, Pod
from kubesvc.client.rest import Client
from kubesvc.controllers import nodeipam, nodelifecycle, podgc
from kubesvc.controllers.caches import Caches, Index
from kubesvc.controllers.changes import Change, Later
from kubesvc.controllers.controller import Controller

LEASE_NAMESPACE = "kube-node-lease"
# A node that is replaced under the same name is away for a moment; its pods stay as long as this.
QUARANTINE_S = 40.0


def nodelifecycle_controller(caches: Caches, clock: Clock) -> Controller[str]:
    nodes = caches.informer(NODES, Node)
    leases = caches.informer(LEASES, Lease)
    pods = caches.informer(PODS, Pod)
    on_node = Index(pods, lambda pod: (pod.spec.node_name,) if pod.spec.node_name else ())
    heard: dict[str, float] = {}

    async def sync(name: str) -> Sequence[Change]:
        node = nodes.objects.get(Key("", name))
        if node is None:
            heard.pop(name, None)
            return []
        silent_for = clock.monotonic() - heard.setdefault(name, clock.monotonic())
        inputs = nodelifecycle.Inputs(node, silent_for, list(on_node[name].values()))
        return nodelifecycle.reconcile(inputs, now=clock.now())

    controller = Controller("nodelifecycle", sync, resource=NODES)

    def on_lease(key: Key, old: Lease | None, new: Lease | None) -> None:
        if new is not None and key.namespace == LEASE_NAMESPACE and (old is None or old.spec != new.spec):
            heard[key.name] = clock.monotonic()

    def on_node_change(key: Key, old: Node | None, new: Node | None) -> None:
        if new is not None and (old is None or _heartbeat(old) != _heartbeat(new)):
            heard[key.name] = clock.monotonic()
        controller.queue.add(key.name)

    def on_pod(_: Key, old: Pod | None, new: Pod | None) -> None:
        if new is None or (old is not None and old.spec.node_name):
            return
        node = nodes.objects.get(Key("", new.spec.node_name))
        if node is not None and (node.spec.taints or nodelifecycle.ready_status(node) in ("False", "Unknown")):
            controller.queue.add(new.spec.node_name)

    nodes.subscribe(on_node_change)
    leases.subscribe(on_lease)
    pods.subscribe(on_pod)
    return controller


def nodeipam_controller(caches: Caches, cluster: Network) -> Controller[str]:
    nodes = caches.informer(NODES, Node)
    held: dict[str, Network] = {}

    async def sync(name: str) -> Sequence[Change]:
        node = nodes.objects.get(Key("", name))
        if node is None:
            held.pop(name, None)
            return []
        taken = {block for other, block in held.items() if other != name}
        changes, block = nodeipam.reconcile(node, cluster=cluster, taken=taken)
        if block is not None:
            held[name] = block
        return changes

    # One worker: a range is chosen by looking at what all others hold.
    controller = Controller("nodeipam", sync, resource=NODES, workers=1)

    def on_node(key: Key, old: Node | None, new: Node | None) -> None:
        block = nodeipam.held_range(new) if new is not None else None
        if block is not None:
            held[key.name] = block
        if old is None or new is None or old.spec.pod_cidr != new.spec.pod_cidr:
            controller.queue.add(key.name)

    nodes.subscribe(on_node)
    return controller


def podgc_controller(caches: Caches, client: Client, clock: Clock) -> Controller[Key]:
    nodes = caches.informer(NODES, Node)
    pods = caches.informer(PODS, Pod)
    on_node = Index(pods, lambda pod: (pod.spec.node_name,) if pod.spec.node_name else ())
    missing_since: dict[str, float] = {}

    async def sync(key: Key) -> Sequence[Change]:
        pod = pods.objects.get(key)
        if pod is None:
            return []
        name = pod.spec.node_name
        if not name:
            return podgc.reconcile(pod, node_exists=False)
        if Key("", name) in nodes.objects:
            return []
        since = missing_since.setdefault(name, clock.monotonic())
        wait = since + QUARANTINE_S - clock.monotonic()
        if wait > 0:
            return [Later(wait)]
        return podgc.reconcile(pod, node_exists=await _node_exists(client, name))

    controller = Controller("podgc", sync, resource=PODS)

    def on_pod(key: Key, _: Pod | None, new: Pod | None) -> None:
        if new is None:
            return
        name = new.spec.node_name
        if (name and Key("", name) not in nodes.objects) or (not name and new.metadata.deletion_timestamp):
            controller.queue.add(key)

    def on_node_change(key: Key, _: Node | None, new: Node | None) -> None:
        if new is not None:
            missing_since.pop(key.name, None)
            return
        missing_since[key.name] = clock.monotonic()
        for pod in on_node[key.name]:
            controller.queue.add(pod)

    pods.subscribe(on_pod)
    nodes.subscribe(on_node_change)
    return controller


async def _node_exists(client: Client, name: str) -> bool:
    try:
        await client.get(NODES, name)
    except NotFound:
        return False
    return True


def _heartbeat(node: Node) -> tuple[str | None, ...]:
    return tuple(condition.last_heartbeat_time for condition in node.status.conditions or ())
