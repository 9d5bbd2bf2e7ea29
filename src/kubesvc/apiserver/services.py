"""Services: addresses and node ports are allocated with the Service's own write and released with it.

An allocated address is an IPAddress object, an allocated node port a row under `nodeports/`; both name
their Service, so what is taken survives restarts and can be compared with what Services say.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from random import Random

from kubesvc.api import resources as r
from kubesvc.api.addresses import Address, Family, family_of, parse_ip
from kubesvc.api.service_strategy import is_headless, needs_cluster_ip, needs_health_check_port, needs_node_ports
from kubesvc.api.status import InternalError
from kubesvc.api.validation import FieldError, invalid, invalid_error
from kubesvc.apiserver.allocator import AddressRange, PortRange
from kubesvc.apiserver.documents import Document, timestamp, to_json, to_value
from kubesvc.apiserver.families import complete_families
from kubesvc.apiserver.keys import NODE_PORTS, key_of
from kubesvc.apiserver.kinds import Kind
from kubesvc.store import Backend, Write

IP_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGED_BY = "ipallocator.k8s.io"
TAKEN = "provided IP is already allocated"
PORT_TAKEN = "provided port is already allocated"


class ServiceKind(Kind):
    """A Service; its ranges come from the ServiceCIDR objects at the time of each allocation."""

    returns_deleted = True
    creates_on_update = True

    def __init__(
        self, backend: Backend, ranges: Callable[[], Sequence[AddressRange]], ports: PortRange, random: Random,
        now: Callable[[], datetime], new_uid: Callable[[], str],
    ) -> None:  # fmt: skip
        self._backend = backend
        self._ranges = ranges
        self._ports = ports
        self._random = random
        self._now = now
        self._new_uid = new_uid

    def allocate(self, document: Document, old: Document | None) -> Sequence[Write]:
        spec = document["spec"]
        before = old["spec"] if old else {}
        errors = complete_families(spec, _families(self._ranges()))
        if errors:
            raise self._refused(document, errors)
        writes = [
            *self._allocate_addresses(document, addresses_of(before)),
            *self._allocate_ports(document, node_ports_of(before), creating=old is None),
        ]
        return writes + self._drop_all(key for key in _held(before) if key not in _held(spec))

    def release(self, old: Document) -> Sequence[Write]:
        metadata = old["metadata"]
        return self._drop_all((*_held(old["spec"]), key_of(r.ENDPOINTS, metadata["namespace"], metadata["name"])))

    # Addresses

    def _allocate_addresses(self, document: Document, held: Iterable[str]) -> Sequence[Write]:
        spec = document["spec"]
        if not needs_cluster_ip(spec):
            return ()
        if is_headless(spec):
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return ()
        asked = list(spec.get("clusterIPs") or ())
        given: list[str] = []
        writes: list[Write] = []
        for index, family in enumerate(spec["ipFamilies"]):
            wanted = asked[index] if index < len(asked) else ""
            address = wanted if wanted in held else self._allocate_address(document, wanted, family)
            given.append(address)
            if address not in held:
                writes.append(self._address_write(document, address))
        spec["clusterIPs"] = given + asked[len(given) :]
        # Where a client sent contradicting fields, validation has to see them.
        if not spec.get("clusterIP"):
            spec["clusterIP"] = spec["clusterIPs"][0]
        return writes

    def _allocate_address(self, document: Document, wanted: str, family: Family) -> str:
        ranges = [one for one in self._ranges() if _family(one) == family]
        if wanted:
            address = parse_ip(wanted)
            # Not an address at all: validation says so better.
            if address is not None:
                self._check_address(document, wanted, address)
            return wanted
        for one in ranges:
            found = one.pick(self._is_taken, self._random)
            if found is not None:
                return str(found)
        raise InternalError("Internal error occurred: failed to allocate a serviceIP: range is full")

    def _check_address(self, document: Document, wanted: str, address: Address) -> None:
        problem = ""
        if not any(address in one for one in self._ranges()):
            problem = "the provided network does not match the current range"
        elif self._is_taken(address):
            problem = TAKEN
        if problem:
            ips = document["spec"]["clusterIPs"]
            error = invalid("spec.clusterIPs", ips, f"failed to allocate IP {wanted}: {problem}")
            raise self._refused(document, [error])

    def _is_taken(self, address: Address) -> bool:
        return self._backend.latest(key_of(r.IPADDRESSES, "", str(address))) is not None

    def _address_write(self, document: Document, address: str) -> Write:
        return Write(
            key_of(r.IPADDRESSES, "", address),
            to_value(r.IPADDRESSES, ip_address_document(document, address, self._new_uid(), self._now())),
        )

    # Node ports

    def _allocate_ports(self, document: Document, held: Iterable[int], *, creating: bool) -> Sequence[Write]:
        spec = document["spec"]
        new: dict[int, None] = {}
        if needs_node_ports(spec):
            self._allocate_port_list(document, set(held), new, creating=creating)
        if needs_health_check_port(spec):
            wanted = spec.get("healthCheckNodePort") or 0
            if not wanted:
                spec["healthCheckNodePort"] = wanted = self._pick_port(new)
                new[wanted] = None
            elif wanted not in held:
                self._check_port(document, "spec.healthCheckNodePort", wanted)
                new[wanted] = None
        value = node_port_value(document)
        return [Write(f"{NODE_PORTS}{port}", value) for port in new]

    def _allocate_port_list(self, document: Document, held: set[int], new: dict[int, None], *, creating: bool) -> None:
        """Explicit ports first, so that a dynamic pick cannot take one of them."""
        spec = document["spec"]
        ports = spec.get("ports") or ()
        for index, port in enumerate(ports):
            wanted = port.get("nodePort") or 0
            if wanted and wanted not in held and wanted not in new:
                self._check_port(document, f"spec.ports[{index}].nodePort", wanted)
                new[wanted] = None
        if spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
            return
        shared = {port["port"]: port["nodePort"] for port in ports if port.get("nodePort")} if creating else {}
        for port in ports:
            if not port.get("nodePort"):
                number = shared.get(port["port"]) or self._pick_port(new)
                port["nodePort"] = number
                new[number] = None
                if creating:
                    shared[port["port"]] = number

    def _pick_port(self, new: dict[int, None]) -> int:
        port = self._ports.pick(lambda p: p in new or self._port_taken(p), self._random)
        if port is None:
            raise InternalError("Internal error occurred: failed to allocate a nodePort: range is full")
        return port

    def _check_port(self, document: Document, path: str, port: int) -> None:
        problem = ""
        if port not in self._ports:
            problem = f"provided port is not in the valid range. The range of valid ports is {self._ports}"
        elif self._port_taken(port):
            problem = PORT_TAKEN
        if problem:
            raise self._refused(document, [invalid(path, port, problem)])

    def _port_taken(self, port: int) -> bool:
        return self._backend.latest(f"{NODE_PORTS}{port}") is not None

    # Both

    def _drop_all(self, keys: Iterable[str]) -> list[Write]:
        """Deletes of those of the keys that are there."""
        records = [self._backend.latest(key) for key in keys]
        return [Write(record.key, None, record.revision) for record in records if record]

    @staticmethod
    def _refused(document: Document, errors: Sequence[FieldError]) -> Exception:
        return invalid_error(r.SERVICES, document["metadata"].get("name", ""), errors)


def ip_address_document(service: Document, address: str, uid: str, now: datetime) -> Document:
    """The IPAddress that says which Service has the address."""
    metadata = service["metadata"]
    where = {"namespace": metadata["namespace"], "name": metadata.get("name", "")}
    return {
        "metadata": {
            "name": address,
            "uid": uid,
            "creationTimestamp": timestamp(now),
            "labels": {IP_FAMILY_LABEL: family_of(address), MANAGED_BY_LABEL: MANAGED_BY},
        },
        "spec": {"parentRef": {"group": "", "resource": "services", **where}},
    }


def node_port_value(service: Document) -> bytes:
    """The row that says which Service has a node port."""
    metadata = service["metadata"]
    return to_json({"service": f"{metadata['namespace']}/{metadata.get('name', '')}"})


def addresses_of(spec: Document) -> Sequence[str]:
    """The cluster addresses of a Service, none if it is headless."""
    return [ip for ip in spec.get("clusterIPs") or () if ip != "None"]


def node_ports_of(spec: Document) -> Sequence[int]:
    """Node ports a Service holds, each once, the health check's included."""
    ports = [port.get("nodePort") or 0 for port in spec.get("ports") or ()]
    ports.append(spec.get("healthCheckNodePort") or 0)
    return list(dict.fromkeys(port for port in ports if port))


def _held(spec: Document) -> Sequence[str]:
    """The keys of everything allocated to a Service."""
    addresses = [key_of(r.IPADDRESSES, "", ip) for ip in addresses_of(spec)]
    return addresses + [f"{NODE_PORTS}{port}" for port in node_ports_of(spec)]


def _family(one: AddressRange) -> Family:
    return "IPv4" if one.network.version == 4 else "IPv6"


def _families(ranges: Sequence[AddressRange]) -> Sequence[Family]:
    return list(dict.fromkeys(_family(one) for one in ranges))
