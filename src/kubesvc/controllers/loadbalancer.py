"""The service controller for LoadBalancer Services, with a pool of addresses as its provider.

Without a pool nothing is touched and an address stays `<pending>`, as in a cluster without a cloud;
addresses given earlier stay, and Services that leave are still cleaned up after.
"""

from collections.abc import Container
from dataclasses import dataclass

from kubesvc.api.addresses import Address, Network, parse_lenient_ip
from kubesvc.api.resources import SERVICES
from kubesvc.api.views import LoadBalancerIngress, Service
from kubesvc.controllers.changes import Change, Document, Note, Patch, Tell
from kubesvc.controllers.endpointslice.endpoints import families
from kubesvc.controllers.meta import finalizers_patch, key_of, reference

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"


@dataclass(frozen=True, slots=True)
class Allocation:
    """The changes, and the address the Service holds once they are made (None: no address)."""

    changes: list[Change]
    address: Address | None


def is_wanted(service: Service) -> bool:
    """Whether the Service asks the default provider for an address; a class means another one."""
    return (
        service.spec.type == "LoadBalancer"
        and service.spec.load_balancer_class is None
        and service.metadata.deletion_timestamp is None
    )


def held_address(service: Service) -> Address | None:
    """The address the Service's status shows, whoever gave it."""
    ingress = service.status.load_balancer.ingress or ()
    return parse_lenient_ip(ingress[0].ip) if ingress else None


def reconcile(service: Service, *, pool: Network | None, taken: Container[Address]) -> Allocation:
    """`taken`: the addresses other Services hold."""
    if not is_wanted(service):
        return Allocation(_clean_up(service), None)
    if pool is None:
        return Allocation([], held_address(service))
    address, problem = _choose(service, pool, taken)
    if address is None:
        return Allocation([_failed(service, problem)], held_address(service))
    if _is_settled(service, address):
        return Allocation([], address)
    about = reference(SERVICES, service.metadata)
    return Allocation(
        [
            Tell(Note(about, "EnsuringLoadBalancer", "Ensuring load balancer")),
            _status_patch(service, finalizer=True, ingress=(LoadBalancerIngress(ip=str(address), ip_mode="VIP"),)),
            Tell(Note(about, "EnsuredLoadBalancer", "Ensured load balancer")),
        ],
        address,
    )


def _choose(service: Service, pool: Network, taken: Container[Address]) -> tuple[Address | None, str]:
    """The requested address, else the present one, else the lowest that is free; or why there is none."""
    family = "IPv6" if pool.version == 6 else "IPv4"
    if family not in families(service):
        return None, f"the pool {pool} has no addresses of the Service's families {', '.join(families(service))}"
    requested = service.spec.load_balancer_ip
    if requested:
        address = parse_lenient_ip(requested)
        if address is None or address not in pool:
            return None, f"the requested address {requested} is not in the pool {pool}"
        return (None, f"the requested address {requested} is already in use") if address in taken else (address, "")
    held = held_address(service)
    if held is not None and held in pool and held not in taken:
        return held, ""
    free = next((address for address in pool.hosts() if address not in taken), None)
    return free, f"no free address is left in the pool {pool}"


def _is_settled(service: Service, address: Address) -> bool:
    ingress = service.status.load_balancer.ingress or ()
    return FINALIZER in (service.metadata.finalizers or ()) and [
        (entry.ip, entry.ip_mode or "VIP") for entry in ingress
    ] == [(str(address), "VIP")]


def _clean_up(service: Service) -> list[Change]:
    """A Service that no longer asks gives its address back, then may go."""
    if FINALIZER not in (service.metadata.finalizers or ()) or service.spec.load_balancer_class is not None:
        return []
    about = reference(SERVICES, service.metadata)
    return [
        Tell(Note(about, "DeletingLoadBalancer", "Deleting load balancer")),
        _status_patch(service, finalizer=False, ingress=()),
        Tell(Note(about, "DeletedLoadBalancer", "Deleted load balancer")),
    ]


def _failed(service: Service, problem: str) -> Tell:
    message = f"Error syncing load balancer: failed to ensure load balancer: {problem}"
    return Tell(Note(reference(SERVICES, service.metadata), "SyncLoadBalancerFailed", message, type="Warning"))


def _status_patch(service: Service, *, finalizer: bool, ingress: tuple[LoadBalancerIngress, ...]) -> Patch:
    kept = [name for name in service.metadata.finalizers or () if name != FINALIZER]
    patch: Document = finalizers_patch(service.metadata, [*kept, FINALIZER] if finalizer else kept)
    entries = [{"ip": entry.ip, "ipMode": entry.ip_mode} for entry in ingress]
    patch["status"] = {"loadBalancer": {"ingress": entries or None}}
    return Patch(SERVICES, key_of(service.metadata), patch, subresource="status")
