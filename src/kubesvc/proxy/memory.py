"""How a proxy of a large cluster stays small and quick: what it does not keep, and when it tidies up."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from kubesvc.api import views

_THRESHOLDS = (50_000, 20, 100)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the cycle collector look seldom: the state is a million small objects without cycles."""
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def settle() -> None:
    """Exempt everything that lives now from collections: after the first sync it stays."""
    gc.collect()
    gc.freeze()


def keep_service(service: views.Service) -> views.Service:
    """What has to be remembered of a Service once its ports are tracked: who it is, and in which version."""
    return views.Service(metadata=_identity(service.metadata))


def keep_slice(slice_: views.EndpointSlice) -> views.EndpointSlice:
    """The same of an EndpointSlice."""
    return views.EndpointSlice(metadata=_identity(slice_.metadata))


def _identity(meta: views.ObjectMeta) -> views.ObjectMeta:
    return views.ObjectMeta(
        name=meta.name, namespace=meta.namespace, uid=meta.uid, resource_version=meta.resource_version
    )
