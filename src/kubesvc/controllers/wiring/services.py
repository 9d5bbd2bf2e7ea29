"""Wiring of the controllers around Services: EndpointSlices, Endpoints, mirroring, load balancers."""

from collections.abc import Callable, Hashable, Iterable, Sequence

from kubesvc.api.addresses import Address, Network
from kubesvc.api.resources import ENDPOINTS, ENDPOINTSLICES, NODES, PODS, SERVICES, Key
from kubesvc.api.selectors import equality_selector
from kubesvc.api.views import Endpoints, EndpointSlice, Node, Pod, Service
from kubesvc.controllers import endpoints as endpoints_controller
from kubesvc.controllers import loadbalancer, mirroring
from kubesvc.controllers.caches import Caches, Index
from kubesvc.controllers.changes import Change
from kubesvc.controllers.controller import Controller
from kubesvc.controllers.endpointslice import reconcile as slices_controller
from kubesvc.controllers.endpointslice.endpoints import ZONE_LABEL, facts
from kubesvc.controllers.endpointslice.trigger import Triggers, find_trigger
from kubesvc.controllers.meta import SERVICE_NAME_LABEL


class SelectedPods:
    """Services and pods as they select one another, without looking at all of either."""

    def __init__(self, caches: Caches) -> None:
        self.services = caches.informer(SERVICES, Service)
        self.nodes = caches.informer(NODES, Node)
        self._pods = caches.informer(PODS, Pod)
        self._by_label = Index(self._pods, _label_pairs)
        self._by_node = Index(self._pods, lambda pod: (pod.spec.node_name,))
        self._by_anchor = Index(self.services, _anchor)

    def pods_of(self, service: Service) -> list[Pod]:
        selector = equality_selector(service.spec.selector)
        anchored = (self._by_label[pair] for pair in _anchor(service))
        return [pod for pods in anchored for pod in pods.values() if selector.matches(pod.metadata.labels)]

    def services_of(self, pod: Pod) -> Iterable[Key]:
        for pair in _label_pairs(pod):
            for key, service in self._by_anchor[pair].items():
                if equality_selector(service.spec.selector).matches(pod.metadata.labels):
                    yield key

    def nodes_by_name(self, pods: Iterable[Pod]) -> dict[str, Node]:
        names = {pod.spec.node_name for pod in pods}
        objects = self.nodes.objects
        return {name: objects[Key("", name)] for name in names if Key("", name) in objects}

    def subscribe(self, add: Callable[[Key], None]) -> None:
        """Call `add` with each Service whose endpoints may have to change."""

        def on_pod(_: Key, old: Pod | None, new: Pod | None) -> None:
            if old is not None and new is not None and facts(old) == facts(new):
                return
            for pod in (old, new):
                for key in self.services_of(pod) if pod is not None else ():
                    add(key)

        def on_node(key: Key, old: Node | None, new: Node | None) -> None:
            if _zone(old) != _zone(new) or old is None or new is None:
                for pod in self._by_node[key.name].values():
                    for service in self.services_of(pod):
                        add(service)

        self.services.subscribe(lambda key, old, new: add(key))
        self._pods.subscribe(on_pod)
        self.nodes.subscribe(on_node)


def endpointslice_controller(caches: Caches, selected: SelectedPods) -> Controller[Key]:
    slices = caches.informer(ENDPOINTSLICES, EndpointSlice)
    managed = Index(slices, _managed_by(slices_controller.CONTROLLER_NAME))
    triggers: dict[Key, Triggers] = {}

    async def sync(key: Key) -> Sequence[Change]:
        service = selected.services.objects.get(key)
        if service is None:
            triggers.pop(key, None)
            return []
        pods = selected.pods_of(service)
        trigger, triggers[key] = find_trigger(service.metadata, pods, triggers.get(key))
        nodes = selected.nodes_by_name(pods)
        inputs = slices_controller.Inputs(service, pods, nodes, list(managed[key].values()), trigger)
        return slices_controller.reconcile(inputs)

    controller = Controller("endpointslice", sync, resource=SERVICES)
    selected.subscribe(controller.queue.add)
    slices.subscribe(_to_owner(_managed_by(slices_controller.CONTROLLER_NAME), controller.queue.add))
    return controller


def endpoints_controller_for(caches: Caches, selected: SelectedPods) -> Controller[Key]:
    known = caches.informer(ENDPOINTS, Endpoints)
    triggers: dict[Key, Triggers] = {}

    async def sync(key: Key) -> Sequence[Change]:
        service = selected.services.objects.get(key)
        pods = selected.pods_of(service) if service is not None else []
        trigger = None
        if service is not None:
            trigger, triggers[key] = find_trigger(service.metadata, pods, triggers.get(key))
        else:
            triggers.pop(key, None)
        inputs = endpoints_controller.Inputs(service, pods, known.objects.get(key), trigger)
        return endpoints_controller.reconcile(inputs)

    controller = Controller("endpoints", sync, resource=SERVICES)

    def on_endpoints(key: Key, _: Endpoints | None, new: Endpoints | None) -> None:
        # Only what this controller made is held to its Service; a person's Endpoints are left alone.
        labels = (new.metadata.labels or {}) if new is not None else {}
        if new is None or labels.get(endpoints_controller.MANAGED_BY) == endpoints_controller.CONTROLLER_NAME:
            controller.queue.add(key)

    selected.subscribe(controller.queue.add)
    known.subscribe(on_endpoints)
    return controller


def mirroring_controller(caches: Caches) -> Controller[Key]:
    known = caches.informer(ENDPOINTS, Endpoints)
    services = caches.informer(SERVICES, Service)
    slices = caches.informer(ENDPOINTSLICES, EndpointSlice)
    of_service = _managed_by(mirroring.CONTROLLER_NAME)
    managed = Index(slices, of_service)

    async def sync(key: Key) -> Sequence[Change]:
        inputs = mirroring.Inputs(known.objects.get(key), services.objects.get(key), list(managed[key].values()))
        return mirroring.reconcile(inputs)

    controller = Controller("endpointslicemirroring", sync, resource=ENDPOINTS)

    def on_service(key: Key, old: Service | None, new: Service | None) -> None:
        if old is None or new is None or bool(old.spec.selector) != bool(new.spec.selector):
            controller.queue.add(key)

    known.subscribe(lambda key, old, new: controller.queue.add(key))
    services.subscribe(on_service)
    slices.subscribe(_to_owner(of_service, controller.queue.add))
    return controller


def loadbalancer_controller(caches: Caches, pool: Network | None) -> Controller[Key]:
    services = caches.informer(SERVICES, Service)
    held: dict[Key, Address] = {}
    wanting: set[Key] = set()

    async def sync(key: Key) -> Sequence[Change]:
        service = services.objects.get(key)
        if service is None:
            release(key)
            return []
        taken = {address for other, address in held.items() if other != key}
        allocation = loadbalancer.reconcile(service, pool=pool, taken=taken)
        if allocation.address is None:
            release(key)
        else:
            held[key] = allocation.address
        if allocation.address is None and loadbalancer.is_wanted(service):
            wanting.add(key)
        else:
            wanting.discard(key)
        return allocation.changes

    # One worker: an address is chosen by looking at what all others hold.
    controller = Controller("loadbalancer", sync, resource=SERVICES, workers=1)

    def release(key: Key) -> None:
        wanting.discard(key)
        if held.pop(key, None) is not None:
            for other in wanting:
                controller.queue.add(other)

    def on_service(key: Key, _: Service | None, new: Service | None) -> None:
        address = loadbalancer.held_address(new) if new is not None and loadbalancer.is_wanted(new) else None
        if address is not None:
            held[key] = address
        controller.queue.add(key)

    services.subscribe(on_service)
    return controller


def _label_pairs(pod: Pod) -> Iterable[Hashable]:
    namespace = pod.metadata.namespace
    return ((namespace, name, value) for name, value in (pod.metadata.labels or {}).items())


def _anchor(service: Service) -> Iterable[Hashable]:
    """One pair of the selector, under which the Service is filed."""
    selector = service.spec.selector
    if not selector:
        return ()
    name = min(selector)
    return ((service.metadata.namespace, name, selector[name]),)


def _managed_by(controller_name: str) -> Callable[[EndpointSlice], Iterable[Key]]:
    def service_of(found: EndpointSlice) -> Iterable[Key]:
        labels = found.metadata.labels or {}
        if labels.get(slices_controller.MANAGED_BY) != controller_name or SERVICE_NAME_LABEL not in labels:
            return ()
        return (Key(found.metadata.namespace, labels[SERVICE_NAME_LABEL]),)

    return service_of


def _to_owner(
    service_of: Callable[[EndpointSlice], Iterable[Key]], add: Callable[[Key], None]
) -> Callable[[Key, EndpointSlice | None, EndpointSlice | None], None]:
    def on_slice(_: Key, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for found in (old, new):
            for key in service_of(found) if found is not None else ():
                add(key)

    return on_slice


def _zone(node: Node | None) -> str | None:
    return (node.metadata.labels or {}).get(ZONE_LABEL) if node is not None else None
