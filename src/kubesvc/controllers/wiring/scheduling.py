"""Wiring of the scheduler: pods without a node in, bindings out."""

from collections.abc import Sequence

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import NODES, PODS, Key
from kubesvc.api.views import Node, Pod
from kubesvc.controllers.caches import Caches, Index
from kubesvc.controllers.changes import Change
from kubesvc.controllers.controller import Controller
from kubesvc.controllers.meta import key_of
from kubesvc.controllers.nodelifecycle import ready_status
from kubesvc.controllers.scheduler.capacity import Amounts, requests
from kubesvc.controllers.scheduler.decide import Candidate, binding, decide, is_ours, unschedulable


class SchedulerWiring:
    """Decisions count from the moment they are made: a pod being bound is already on its node.

    Deciding does not await, so several workers may bind side by side and still decide one by one.
    """

    def __init__(self, caches: Caches, clock: Clock) -> None:
        self._clock = clock
        self._nodes = caches.informer(NODES, Node)
        self._pods = caches.informer(PODS, Pod)
        self._on_node = Index(self._pods, lambda pod: (pod.spec.node_name,) if pod.spec.node_name else ())
        self._assumed: dict[Key, str] = {}
        self._waiting: set[Key] = set()
        self._usage: dict[str, Amounts] = {}
        self.controller: Controller[Key] = Controller("scheduler", self._sync, resource=PODS, workers=8)
        self._pods.subscribe(self._pod_changed)
        self._nodes.subscribe(self._node_changed)

    async def _sync(self, key: Key) -> Sequence[Change]:
        pod = self._pods.objects.get(key)
        self._assumed.pop(key, None)
        self._waiting.discard(key)
        if pod is None or not is_ours(pod):
            return []
        decision = decide(pod, self._candidates(), self._usage)
        if decision.node is None:
            self._waiting.add(key)
            return unschedulable(pod, decision.message, now=self._clock.now())
        self._assumed[key] = decision.node
        return [binding(pod, decision.node)]

    def _candidates(self) -> list[Candidate]:
        coming: dict[str, list[Pod]] = {}
        for key, name in self._assumed.items():
            pod = self._pods.objects.get(key)
            if pod is not None and not pod.spec.node_name:
                coming.setdefault(name, []).append(pod)
        return [
            Candidate(node, [*self._on_node[key.name].values(), *coming.get(key.name, ())])
            for key, node in self._nodes.objects.items()
            if node.metadata.deletion_timestamp is None
        ]

    def _pod_changed(self, key: Key, old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or old.metadata.uid != new.metadata.uid):
            self._usage.pop(old.metadata.uid, None)
            self._assumed.pop(key, None)
            self._waiting.discard(key)
        if new is None or (old is not None and old.status.phase != new.status.phase and new.spec.node_name):
            self._retry_waiting()  # room may have become free
        if new is None:
            return
        self._usage[new.metadata.uid] = requests(new)
        if new.spec.node_name:
            self._assumed.pop(key, None)
        elif is_ours(new) and (old is None or _wish(old) != _wish(new)):
            self.controller.queue.add(key_of(new.metadata))

    def _node_changed(self, _: Key, old: Node | None, new: Node | None) -> None:
        if new is not None and (old is None or _offer(old) != _offer(new)):
            self._retry_waiting()

    def _retry_waiting(self) -> None:
        for key in self._waiting:
            self.controller.queue.add(key)


def _wish(pod: Pod) -> tuple[object, ...]:
    return pod.metadata.uid, pod.metadata.labels, pod.spec


def _offer(node: Node) -> tuple[object, ...]:
    return node.metadata.labels, node.spec, node.status.allocatable, ready_status(node)
