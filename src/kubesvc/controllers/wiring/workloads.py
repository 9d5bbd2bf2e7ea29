"""Wiring of the Deployment and ReplicaSet controllers."""

from collections.abc import Iterable, Sequence

from kubesvc.aio.clock import Clock
from kubesvc.api.apps import Deployment, ReplicaSet
from kubesvc.api.resources import DEPLOYMENTS, PODS, REPLICASETS, Key
from kubesvc.api.selectors import label_selector_from
from kubesvc.api.views import LabelSelector, ObjectMeta, Pod
from kubesvc.controllers.caches import Caches, Index
from kubesvc.controllers.changes import Change
from kubesvc.controllers.controller import Controller
from kubesvc.controllers.deployment import reconcile as deployments_controller
from kubesvc.controllers.meta import controller_of
from kubesvc.controllers.replicaset import reconcile as sets_controller


class Workloads:
    """Deployments, their ReplicaSets and pods, by owner and namespace."""

    def __init__(self, caches: Caches) -> None:
        self.deployments = caches.informer(DEPLOYMENTS, Deployment)
        self.sets = caches.informer(REPLICASETS, ReplicaSet)
        self.pods = caches.informer(PODS, Pod)
        self.deployments_in = Index(self.deployments, lambda obj: (obj.metadata.namespace,))
        self.sets_in = Index(self.sets, lambda obj: (obj.metadata.namespace,))
        self.sets_of = Index(self.sets, lambda obj: _controller_uid(obj.metadata))
        self.pods_of = Index(self.pods, lambda obj: _controller_uid(obj.metadata))
        self.orphans_in = Index(self.pods, lambda obj: () if controller_of(obj.metadata) else (obj.metadata.namespace,))

    def deployments_of(self, found: ReplicaSet) -> Iterable[Key]:
        """The set's owner, or who might adopt it."""
        if controller_of(found.metadata) is not None:
            return _owner_key(found.metadata, DEPLOYMENTS.kind)
        near = self.deployments_in[found.metadata.namespace]
        return [key for key, deployment in near.items() if _selects(deployment.spec.selector, found.metadata)]

    def deployments_above(self, pod: Pod) -> Iterable[Key]:
        for key in _owner_key(pod.metadata, REPLICASETS.kind):
            owner = self.sets.objects.get(key)
            if owner is not None:
                yield from _owner_key(owner.metadata, DEPLOYMENTS.kind)


def deployment_controller(workloads: Workloads, clock: Clock) -> Controller[Key]:
    async def sync(key: Key) -> Sequence[Change]:
        deployment = workloads.deployments.objects.get(key)
        if deployment is None:
            return []
        sets = list(workloads.sets_in[key.namespace].values())
        own = (found.metadata.uid for found in sets if _controller_uid(found.metadata) == (deployment.metadata.uid,))
        pods = {uid: list(workloads.pods_of[uid].values()) for uid in own}
        return deployments_controller.reconcile(deployments_controller.Inputs(deployment, sets, pods), now=clock.now())

    controller = Controller("deployment", sync, resource=DEPLOYMENTS)
    add = controller.queue.add

    def on_set(_: Key, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        for found in (old, new):
            for key in workloads.deployments_of(found) if found is not None else ():
                add(key)

    def on_pod(_: Key, old: Pod | None, new: Pod | None) -> None:
        # The strategy Recreate waits until the last old pod is gone; nothing else looks at pods.
        if old is not None and new is None:
            for key in workloads.deployments_above(old):
                add(key)

    workloads.deployments.subscribe(lambda key, old, new: add(key))
    workloads.sets.subscribe(on_set)
    workloads.pods.subscribe(on_pod)
    return controller


def replicaset_controller(workloads: Workloads, clock: Clock) -> Controller[Key]:
    async def sync(key: Key) -> Sequence[Change]:
        owner = workloads.sets.objects.get(key)
        if owner is None:
            return []
        pods = [*workloads.pods_of[owner.metadata.uid].values(), *workloads.orphans_in[key.namespace].values()]
        related = [
            pod
            for uid in _controller_uid(owner.metadata)
            for sibling in workloads.sets_of[uid].values()
            if sibling.metadata.uid != owner.metadata.uid
            for pod in workloads.pods_of[sibling.metadata.uid].values()
        ]
        return sets_controller.reconcile(sets_controller.Inputs(owner, pods, related), now=clock.now())

    controller = Controller("replicaset", sync, resource=REPLICASETS)
    add = controller.queue.add

    def on_pod(_: Key, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is not None:
                for key in _owner_key(pod.metadata, REPLICASETS.kind):
                    add(key)
        if new is not None and new.metadata.labels and controller_of(new.metadata) is None:
            for key, owner in workloads.sets_in[new.metadata.namespace].items():
                if _selects(owner.spec.selector, new.metadata):
                    add(key)

    workloads.sets.subscribe(lambda key, old, new: add(key))
    workloads.pods.subscribe(on_pod)
    return controller


def _controller_uid(meta: ObjectMeta) -> tuple[str, ...]:
    owner = controller_of(meta)
    return (owner.uid,) if owner else ()


def _owner_key(meta: ObjectMeta, kind: str) -> Iterable[Key]:
    owner = controller_of(meta)
    return (Key(meta.namespace, owner.name),) if owner and owner.kind == kind else ()


def _selects(selector: LabelSelector, meta: ObjectMeta) -> bool:
    try:
        parsed = label_selector_from(selector)
    except ValueError:
        return False  # its own reconciliation reports it
    return not parsed.everything and parsed.matches(meta.labels)
