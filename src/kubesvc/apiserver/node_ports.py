"""Node ports: each one that a Service has is a row `nodeports/30480` of the store naming it (KEP-3668)."""

from collections.abc import Sequence

from kubesvc.api import resources as r
from kubesvc.api.service_strategy import needs_health_check_port, needs_node_ports
from kubesvc.api.status import InternalError
from kubesvc.api.validation import invalid, invalid_error
from kubesvc.apiserver.allocator import Draw, PortRange
from kubesvc.apiserver.documents import Document, to_json
from kubesvc.apiserver.keys import NODE_PORTS
from kubesvc.store.types import Backend, Write

_TAKEN = "provided port is already allocated"


class NodePorts:
    """Hands out ports of one range, which the health checks of load balancers share."""

    def __init__(self, backend: Backend, ports: PortRange, random: Draw) -> None:
        self._backend = backend
        self._ports = ports
        self._random = random

    def allocate(self, service: Document, before: Document, *, creating: bool) -> Sequence[Write]:
        """Fill `nodePort` and `healthCheckNodePort` in place; the writes that record new ones.

        Raises Invalid for a port that cannot be had, InternalError when the range is full.
        """
        spec = service["spec"]
        held, new = set(node_ports_of(before)), dict[int, None]()
        if needs_node_ports(spec):
            self._take_wanted(service, held, new)
            if spec.get("type") != "LoadBalancer" or spec.get("allocateLoadBalancerNodePorts") is not False:
                self._fill(spec.get("ports") or (), new, sharing=creating)
        if needs_health_check_port(spec):
            self._take_health_check(service, held, new)
        return [record_of(service, port) for port in new]

    def _take_wanted(self, service: Document, held: set[int], new: dict[int, None]) -> None:
        """Explicit ports come first, so that a dynamic pick cannot take one of them."""
        for index, port in enumerate(service["spec"].get("ports") or ()):
            wanted = port.get("nodePort") or 0
            # One number for several protocols is one allocation.
            if wanted and wanted not in held and wanted not in new:
                self._check(service, f"spec.ports[{index}].nodePort", wanted)
                new[wanted] = None

    def _fill(self, ports: Sequence[Document], new: dict[int, None], *, sharing: bool) -> None:
        """Pick what is missing; when `sharing`, protocols of one port number get one node port."""
        shared = {port.get("port"): port["nodePort"] for port in ports if port.get("nodePort")}
        for port in ports:
            if not port.get("nodePort"):
                known = shared.get(port.get("port")) if sharing else None
                port["nodePort"] = number = known or self._pick(new)
                shared[port.get("port")] = number
                if not known:
                    new[number] = None

    def _take_health_check(self, service: Document, held: set[int], new: dict[int, None]) -> None:
        spec = service["spec"]
        wanted = spec.get("healthCheckNodePort") or 0
        if not wanted:
            spec["healthCheckNodePort"] = wanted = self._pick(new)
        elif wanted in held:
            return
        else:
            self._check(service, "spec.healthCheckNodePort", wanted, new)
        new[wanted] = None

    def _pick(self, new: dict[int, None]) -> int:
        port = self._ports.pick(lambda number: number in new or self._is_taken(number), self._random)
        if port is None:
            raise InternalError("Internal error occurred: failed to allocate a nodePort: range is full")
        return port

    def _check(self, service: Document, path: str, port: int, new: dict[int, None] | None = None) -> None:
        problem = ""
        if port not in self._ports:
            problem = f"provided port is not in the valid range. The range of valid ports is {self._ports}"
        elif self._is_taken(port) or port in (new or {}):
            problem = _TAKEN
        if problem:
            name = service["metadata"].get("name", "")
            raise invalid_error(r.SERVICES, name, [invalid(path, port, problem)])

    def _is_taken(self, port: int) -> bool:
        return self._backend.latest(f"{NODE_PORTS}{port}") is not None


def record_of(service: Document, port: int) -> Write:
    """The write of the row that says which Service has a node port."""
    metadata = service["metadata"]
    owner = f"{metadata['namespace']}/{metadata.get('name', '')}"
    return Write(f"{NODE_PORTS}{port}", to_json({"service": owner}))


def node_ports_of(spec: Document) -> Sequence[int]:
    """Node ports a Service holds, each once, the health check's included."""
    ports = [port.get("nodePort") or 0 for port in spec.get("ports") or ()]
    ports.append(spec.get("healthCheckNodePort") or 0)
    return list(dict.fromkeys(port for port in ports if port))


def port_keys(spec: Document) -> Sequence[str]:
    """The store's keys of the node ports of a Service."""
    return [f"{NODE_PORTS}{port}" for port in node_ports_of(spec)]
