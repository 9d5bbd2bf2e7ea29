"""Which endpoints a policy may choose (behaviour rows 10 to 14; KEP-1669, KEP-2433, KEP-3015)."""

from collections.abc import Callable, Iterable, Sequence

from kubesvc.proxy.model import Endpoint, NodeFacts, Target


def cluster_targets(endpoints: Sequence[Endpoint], node: NodeFacts) -> tuple[Target, ...]:
    """Ready endpoints that the hints leave to this node; else all that still serve while terminating."""
    ready = [endpoint for endpoint in endpoints if endpoint.ready]
    preferred = _hint_filter(ready, node)
    return _targets(filter(preferred, ready)) or _targets(filter(_draining, endpoints))


def local_targets(endpoints: Sequence[Endpoint], node: NodeFacts) -> tuple[Target, ...]:
    """Ready endpoints on this node; else those of this node that still serve while terminating."""
    here = [endpoint for endpoint in endpoints if endpoint.node == node.name]
    return _targets(e for e in here if e.ready) or _targets(filter(_draining, here))


def any_usable(endpoints: Iterable[Endpoint]) -> bool:
    """Whether some node could serve: tells a drop from a reject."""
    return any(endpoint.ready or _draining(endpoint) for endpoint in endpoints)


def _draining(endpoint: Endpoint) -> bool:
    return endpoint.serving and endpoint.terminating


def _targets(endpoints: Iterable[Endpoint]) -> tuple[Target, ...]:
    return tuple(endpoint.target for endpoint in endpoints)


def _hint_filter(ready: Sequence[Endpoint], node: NodeFacts) -> Callable[[Endpoint], bool]:
    """Hints count only if every ready endpoint has them and one of them names this node or zone."""
    if ready and all(e.nodes for e in ready) and any(node.name in e.nodes for e in ready):
        return lambda endpoint: node.name in endpoint.nodes
    if ready and node.zone and all(e.zones for e in ready) and any(node.zone in e.zones for e in ready):
        return lambda endpoint: node.zone in endpoint.zones
    return lambda endpoint: True
