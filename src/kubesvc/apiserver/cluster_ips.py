"""Cluster addresses: each one that a Service has is an IPAddress object naming it (KEP-1880).

What is taken is therefore in the store, survives restarts, and is part of the transaction that stores the Service.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from kubesvc.api import resources as r
from kubesvc.api.addresses import Address, Family, canonical_ip, family_of, parse_ip
from kubesvc.api.service_strategy import is_headless, needs_cluster_ip
from kubesvc.api.status import InternalError
from kubesvc.api.times import time_text
from kubesvc.api.validation import invalid, invalid_error
from kubesvc.apiserver.allocator import AddressRange, Draw
from kubesvc.apiserver.documents import Document, to_value
from kubesvc.apiserver.keys import key_of
from kubesvc.store.types import Backend, Write

IP_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGED_BY = "ipallocator.k8s.io"
_TAKEN = "provided IP is already allocated"
_OUTSIDE = "the provided network does not match the current range"


class ClusterIPs:
    """Hands out addresses of the ranges there are at the time of each allocation."""

    def __init__(
        self, backend: Backend, ranges: Callable[[], Sequence[AddressRange]], random: Draw,
        now: Callable[[], datetime], new_uid: Callable[[], str],
    ) -> None:  # fmt: skip
        self._backend = backend
        self._ranges = ranges
        self._random = random
        self._now = now
        self._new_uid = new_uid

    def families(self) -> Sequence[Family]:
        """The families of the ranges, the default one first."""
        return list(dict.fromkeys(_family(one) for one in self._ranges()))

    def allocate(self, service: Document, before: Document) -> Sequence[Write]:
        """Fill `clusterIP` and `clusterIPs` in place, one address per family; the writes that record new ones.

        Raises Invalid for an address that cannot be had, InternalError when a range is full.
        """
        spec = service["spec"]
        if not needs_cluster_ip(spec):
            return ()
        if is_headless(spec):
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return ()
        held = addresses_of(before)
        asked = list(spec.get("clusterIPs") or ())
        given = [
            self._one(service, asked[index] if index < len(asked) else "", family, held)
            for index, family in enumerate(spec["ipFamilies"])
        ]
        spec["clusterIPs"] = given + asked[len(given) :]
        # Where a client sent contradicting fields, validation has to see them.
        if not spec.get("clusterIP"):
            spec["clusterIP"] = spec["clusterIPs"][0]
        return [self._record(service, address) for address in dict.fromkeys(given) if address not in held]

    def _one(self, service: Document, wanted: str, family: Family, held: Sequence[str]) -> str:
        if wanted:
            address = parse_ip(wanted)
            # What is no address at all, validation refuses in better words.
            if wanted not in held and address is not None:
                self._check(service, wanted, address)
            return wanted
        for one in self._ranges():
            found = one.pick(self._is_taken, self._random) if _family(one) == family else None
            if found is not None:
                return str(found)
        raise InternalError("Internal error occurred: failed to allocate a serviceIP: range is full")

    def _check(self, service: Document, wanted: str, address: Address) -> None:
        problem = _TAKEN if self._is_taken(address) else ""
        if not any(address in one for one in self._ranges()):
            problem = _OUTSIDE
        if problem:
            words = f"failed to allocate IP {wanted}: {problem}"
            error = invalid("spec.clusterIPs", service["spec"]["clusterIPs"], words)
            raise invalid_error(r.SERVICES, service["metadata"].get("name", ""), [error])

    def _is_taken(self, address: Address) -> bool:
        return self._backend.latest(_key(str(address))) is not None

    def _record(self, service: Document, address: str) -> Write:
        return record_of(service, address, self._new_uid(), self._now())


def record_of(service: Document, address: str, uid: str, now: datetime) -> Write:
    """The write of the IPAddress that says which Service has the address."""
    metadata = service["metadata"]
    where = {"namespace": metadata["namespace"], "name": metadata.get("name", "")}
    document: Document = {
        "metadata": {
            "name": canonical_ip(address),
            "uid": uid,
            "creationTimestamp": time_text(now),
            "labels": {IP_FAMILY_LABEL: family_of(address), MANAGED_BY_LABEL: MANAGED_BY},
        },
        "spec": {"parentRef": {"group": "", "resource": "services", **where}},
    }
    return Write(_key(address), to_value(r.IPADDRESSES, document))


def addresses_of(spec: Document) -> Sequence[str]:
    """The cluster addresses of a Service as it spells them, none if it is headless."""
    return [ip for ip in spec.get("clusterIPs") or () if ip != "None"]


def address_keys(spec: Document) -> Sequence[str]:
    """The store's keys of the IPAddresses of a Service."""
    return [_key(address) for address in addresses_of(spec)]


def _key(address: str) -> str:
    return key_of(r.IPADDRESSES, "", canonical_ip(address))


def _family(one: AddressRange) -> Family:
    return "IPv4" if one.network.version == 4 else "IPv6"
