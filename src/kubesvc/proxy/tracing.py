"""`kubesvc trace`: a question about one packet, resolved at the API, answered by the rules of one node's kernel."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from kubesvc.api import views
from kubesvc.api.resources import ENDPOINTSLICES, NODES, PODS, SERVICES, Key
from kubesvc.client import Client
from kubesvc.linux.netlink import RouteSocket
from kubesvc.proxy.addresses import family_of
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.endpoints import LABEL_SERVICE_NAME
from kubesvc.proxy.iptables.live import read_chains
from kubesvc.proxy.kernel import local_addresses
from kubesvc.proxy.live import LiveRules
from kubesvc.proxy.model import PROTOCOL_NUMBERS, Family, PortPlan, ServicePortName
from kubesvc.proxy.nftables.live import read_table
from kubesvc.proxy.rules import node_addresses
from kubesvc.proxy.services import is_proxied
from kubesvc.proxy.trace import Packet, weigh
from kubesvc.proxy.tracker import Tracker
from kubesvc.proxy.traffic_table import read_traffic
from kubesvc.proxy.verdict import Answer, Case, judge


class QuestionError(ValueError):
    """What was asked for cannot be traced; the message says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """One packet at one node, and what the API says about its destination."""

    source: str
    destination: str
    port: int
    protocol: str
    node: str
    node_addresses: tuple[str, ...]
    plans: dict[ServicePortName, PortPlan]

    @property
    def family(self) -> Family:
        return Family.IPV6 if ":" in self.destination else Family.IPV4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a person puts it; `protocol` and `node` may be ""."""

    origin: str
    to: str
    namespace: str
    protocol: str = ""
    node: str = ""


async def resolve(client: Client, asked: Asked) -> Question:
    """Names become addresses, and the destination's Services plans. Raises QuestionError and the client's errors."""
    nodes = {node.metadata.name: node for node in (await client.list(NODES, view=views.Node)).items}
    services = (await client.list(SERVICES, view=views.Service)).items
    addresses, port, protocol = _destination(asked, services)
    sources, home = await _origin(client, asked, nodes.values())
    pair = next(((s, d) for d in addresses for s in sources if family_of(s) is family_of(d)), None)
    if pair is None:
        raise QuestionError(f"{asked.origin} ({', '.join(sources)}) has no address of the family of {asked.to}")
    source, destination = pair
    node = asked.node or home or _owner(nodes.values(), destination) or next(iter(sorted(nodes)), "")
    if node not in nodes:
        raise QuestionError(f"there is no node {node!r}" if node else "the cluster has no nodes")
    plans = await _plans(client, services, nodes[node], destination, port)
    own = tuple(address for family in Family for address in node_addresses(nodes[node], family))
    return Question(source, destination, port, protocol, node, own, plans)


def answer(question: Question) -> Answer:
    """Walk the packet through the rules of this network namespace. Raises BackendError where there are none."""
    rules = _read(question.family)
    local = local_addresses()
    packet = Packet(
        question.source,
        question.destination,
        question.port,
        PROTOCOL_NUMBERS[question.protocol],
        interface=_interface_to(question.source),
        memory=rules.memory(question.source),
    )
    engine = rules.engine(local)
    outcomes = weigh(engine, packet)
    case = Case(packet, question.plans, question.node, frozenset(local))
    return judge(
        case,
        rules.backend,
        outcomes,
        path=engine.notes,
        counts=rules.counts(question.plans),
        differences=rules.differences(question.plans),
        traffic=read_traffic(question.family, question.plans, local),
    )


def _read(family: Family) -> LiveRules:
    rules: LiveRules | None = read_table(family) or read_chains(family)
    if rules is None:
        raise BackendError("this node has no Service rules: its proxy has not run, or is of another kind")
    return rules


def _destination(asked: Asked, services: Iterable[views.Service]) -> tuple[list[str], int, str]:
    """Addresses, port and protocol of `svc/NAME[:PORT]` or `ADDRESS:PORT`."""
    kind, slash, rest = asked.to.partition("/")
    if not slash:
        address, _, port = asked.to.rpartition(":")
        address = address.strip("[]")
        if family_of(address) is None or not port.isdigit() or not 0 < int(port) < 65536:
            raise QuestionError(f"--to {asked.to}: want svc/NAME[:PORT] or ADDRESS:PORT")
        return [str(ip_address(address))], int(port), asked.protocol or "TCP"
    if kind not in ("svc", "service", "services"):
        raise QuestionError(f"--to {asked.to}: want svc/NAME[:PORT] or ADDRESS:PORT")
    name, _, port = rest.partition(":")
    found = next((s for s in services if Key(s.metadata.namespace, s.metadata.name) == (asked.namespace, name)), None)
    if found is None:
        raise QuestionError(f"there is no Service {asked.namespace}/{name}")
    if not is_proxied(found):
        raise QuestionError(f"Service {asked.namespace}/{name} has no cluster address: the proxy does not serve it")
    number, protocol = _port_of(found, port, asked.protocol)
    return list(found.spec.cluster_ips or (found.spec.cluster_ip,)), number, protocol


def _port_of(service: views.Service, wanted: str, protocol: str) -> tuple[int, str]:
    """A port by name or number; without either the first one."""
    ports = [port for port in service.spec.ports or () if not protocol or port.protocol == protocol]
    for port in ports:
        if wanted in ("", port.name, str(port.port)):
            return port.port, port.protocol
    if wanted.isdigit():
        return int(wanted), protocol or "TCP"
    known = ", ".join(f"{port.name or port.port}/{port.protocol}" for port in service.spec.ports or ())
    raise QuestionError(f"Service {service.metadata.name} has no port {wanted!r}{protocol and '/' + protocol}: {known}")


async def _origin(client: Client, asked: Asked, nodes: Iterable[views.Node]) -> tuple[list[str], str]:
    """Addresses of where the packet comes from, and the node it starts at ("" for elsewhere)."""
    kind, slash, name = asked.origin.partition("/")
    if not slash:
        if family_of(asked.origin) is None:
            raise QuestionError(f"--from {asked.origin}: want pod/NAME, node/NAME or an address")
        address = str(ip_address(asked.origin))
        pods = (await client.list(PODS, view=views.Pod, field_selector=f"status.podIP={address}")).items
        home = next((pod.spec.node_name for pod in pods if pod.status.pod_ip == address), "")
        return [address], home or _owner(nodes, address)
    if kind in ("node", "nodes", "no"):
        found = next((node for node in nodes if node.metadata.name == name), None)
        if found is None:
            raise QuestionError(f"there is no node {name!r}")
        return [address for family in Family for address in node_addresses(found, family)], name
    if kind in ("pod", "pods", "po"):
        pod = await client.get(PODS, name, namespace=asked.namespace, view=views.Pod)
        addresses = [each.ip for each in pod.status.pod_ips or ()] or [pod.status.pod_ip]
        if not pod.spec.node_name or not addresses[0]:
            raise QuestionError(f"pod {asked.namespace}/{name} has no address yet")
        return addresses, pod.spec.node_name
    raise QuestionError(f"--from {asked.origin}: want pod/NAME, node/NAME or an address")


def _owner(nodes: Iterable[views.Node], address: str) -> str:
    for node in nodes:
        if any(address in node_addresses(node, family) for family in Family):
            return node.metadata.name
    return ""


def _concerns(service: views.Service, address: str, port: int, node: views.Node) -> bool:
    """Whether a Service may have anything to do with a destination."""
    spec = service.spec
    ingress = [entry.ip for entry in service.status.load_balancer.ingress or ()]
    if address in (spec.cluster_ip, *(spec.cluster_ips or ()), *(spec.external_ips or ()), *ingress):
        return True
    return bool(_owner([node], address)) and any(each.node_port == port for each in spec.ports or ())


async def _plans(
    client: Client, services: Iterable[views.Service], node: views.Node, destination: str, port: int
) -> dict[ServicePortName, PortPlan]:
    """The plans of the Services that concern a destination. All are tracked: they may compete for addresses."""
    tracker = Tracker(Family.IPV6 if ":" in destination else Family.IPV4, node.metadata.name)
    tracker.set_node(node)
    plans: dict[ServicePortName, PortPlan] = {}
    for service in services:
        tracker.set_service(Key(service.metadata.namespace, service.metadata.name), service)
    for service in services:
        if not _concerns(service, destination, port, node):
            continue
        key = Key(service.metadata.namespace, service.metadata.name)
        selector = f"{LABEL_SERVICE_NAME}={key.name}"
        slices = await client.list(
            ENDPOINTSLICES, namespace=key.namespace, label_selector=selector, view=views.EndpointSlice
        )
        for slice_ in slices.items:
            tracker.set_slice(Key(key.namespace, slice_.metadata.name), slice_)
        plans.update(tracker.plan(key).ports)
    return plans


def _interface_to(address: str) -> str:
    """Where packets from `address` come in: the device of the way back to it."""
    parsed = ip_address(address)
    default = "::/0" if parsed.version == 6 else "0.0.0.0/0"
    with RouteSocket() as route:
        ways = [(ip_network(default if each.dst == "default" else each.dst), each.dev) for each in route.routes()]
    fitting = [(network.prefixlen, dev) for network, dev in ways if network.version == parsed.version
               and parsed in network and dev]  # fmt: skip
    return max(fitting, default=(0, ""))[1]
