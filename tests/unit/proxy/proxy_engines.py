"""Objects -> tracker -> plans -> both backends' engines: what the behaviour table runs on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tests.unit.proxy.proxy_behaviour import Case

from kubesvc.api import views
from kubesvc.api.resources import Key
from kubesvc.proxy.iptables import compile as iptables_compile
from kubesvc.proxy.iptables.repair import Repair
from kubesvc.proxy.iptables.restore import Restore, together
from kubesvc.proxy.iptables.saved import Saved
from kubesvc.proxy.iptables.static import fixed_rules
from kubesvc.proxy.iptables.trace import IptablesEngine
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.nftables.compile import sticky_chains_in
from kubesvc.proxy.nftables.compiler import Compiler
from kubesvc.proxy.nftables.layout import table_text
from kubesvc.proxy.nftables.trace import NftEngine
from kubesvc.proxy.rules import PodSource, RuleSettings
from kubesvc.proxy.trace import NOTHING, Engine, Memory, Outcome, Packet, Verdict, trace
from kubesvc.proxy.tracker import Tracker

Document = dict[str, Any]

NODE = "node-a"
NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1}


@dataclass(frozen=True)
class Place:
    """A node in one family: its addresses, and the settings of its proxy."""

    family: Family = Family.IPV4
    addresses: tuple[str, ...] = ("192.0.2.1",)
    pods: PodSource = field(default=PodSource(("10.244.0.0/16",)))
    service_cidrs: tuple[str, ...] = ("10.96.0.0/16",)
    nodeport_addresses: tuple[str, ...] | None = None
    masquerade_all: bool = False
    zone: str = ""
    localhost_nodeports: bool = True
    extra_local: tuple[str, ...] = field(default=("127.0.0.1", "10.244.1.1"))

    @property
    def settings(self) -> RuleSettings:
        return RuleSettings(
            self.family, self.pods, self.service_cidrs, self.nodeport_addresses, self.masquerade_all,
            localhost_nodeports=self.localhost_nodeports and self.family is Family.IPV4,
        )  # fmt: skip

    @property
    def local(self) -> tuple[str, ...]:
        return (*self.addresses, *self.extra_local)


def place_of(case: Case, family: Family) -> Place:
    """The behaviour table's node in a family, with the options of a case; `pods` None is no local detector."""
    options = {"zone": case.zone, **case.options}
    if "pods" in options:
        options["pods"] = options["pods"] or PodSource()
    if family is Family.IPV4:
        return Place(**options)
    six_: dict[str, Any] = {
        "family": family,
        "addresses": ("2001:db8::1",),
        "pods": PodSource(("fd00:244::/32",)),
        "service_cidrs": ("fd00:96::/64",),
        "extra_local": ("::1", "fd00:244:1::1"),
    }
    return Place(**(six_ | options))


def key_of(document: Document) -> Key:
    return Key(document["metadata"].get("namespace", ""), document["metadata"]["name"])


def put(tracker: Tracker, *documents: Document) -> None:
    for document in documents:
        raw = msgspec.json.encode(document)
        match document["kind"]:
            case "Service":
                tracker.set_service(key_of(document), msgspec.json.decode(raw, type=views.Service))
            case "EndpointSlice":
                tracker.set_slice(key_of(document), msgspec.json.decode(raw, type=views.EndpointSlice))
            case "Node":
                tracker.set_node(msgspec.json.decode(raw, type=views.Node))


def tracker_of(place: Place, documents: Iterable[Document]) -> Tracker:
    tracker = Tracker(place.family, NODE)
    addresses = [{"type": "InternalIP", "address": address} for address in place.addresses]
    labels = {"topology.kubernetes.io/zone": place.zone} if place.zone else {}
    node = {"kind": "Node", "metadata": {"name": NODE, "labels": labels}, "status": {"addresses": addresses}}
    put(tracker, node, *documents)
    return tracker


def plans_of(tracker: Tracker) -> dict[ServicePortName, PortPlan]:
    return {name: plan for key in tracker for name, plan in tracker.plan(key).ports.items()}


def nft_engine(place: Place, plans: Mapping[ServicePortName, PortPlan], compiler: Compiler | None = None) -> NftEngine:
    """A table of these plans; a compiler that is handed in keeps its memory of earlier ones."""
    compiler = compiler or Compiler()
    for name in [name for name in compiler.ledger.owners() if name not in plans]:
        compiler.set_port(name, None)
    for name, plan in plans.items():
        compiler.set_port(name, plan)
    elements = dict(compiler.ledger.items())
    return NftEngine(table_text(place.settings, sticky_chains_in(elements)), elements.items(), place.local)


def iptables_engine(place: Place, plans: Mapping[ServicePortName, PortPlan]) -> IptablesEngine:
    rules = [iptables_compile.compile_port(plan, place.settings) for plan in plans.values()]
    return IptablesEngine(iptables_restore(rules, place.settings, Saved()).text(), place.local)


def iptables_restore(rules: Iterable[iptables_compile.PortRules], settings: RuleSettings, saved: Saved) -> Restore:
    """What brings the chains to these rules, at once."""
    repair = Repair(saved, fixed_rules(settings))
    base = repair.base()
    ports = [part for port in rules for part in repair.port(port)]
    return together([(None, base), *((None, part) for part in ports), *repair.surplus()])


ENGINES: dict[str, Callable[[Place, Mapping[ServicePortName, PortPlan]], Engine]] = {
    "nftables": nft_engine,
    "iptables": iptables_engine,
}


def outcomes(engine: Engine, source: str, destination: str, *, memory: Memory = NOTHING) -> frozenset[Outcome]:
    """Trace `PROTOCOL/ADDRESS:PORT` from `ADDRESS` or `ADDRESS%INTERFACE`."""
    protocol, _, rest = destination.partition("/")
    address, _, port = rest.rpartition(":")
    source, _, interface = source.partition("%")
    packet = Packet(source, address.strip("[]"), int(port), NUMBERS[protocol], interface=interface, memory=memory)
    return trace(engine, packet)


def say(found: Iterable[Outcome]) -> str:
    """`drop`, `reject`, `pass`, or the targets' addresses, with a `*` where masqueraded."""
    words = set()
    for outcome in found:
        if outcome.verdict is not Verdict.ACCEPT:
            words.add(outcome.verdict.value)
        elif outcome.target is None:
            words.add("pass*" if outcome.masqueraded else "pass")
        else:
            words.add(outcome.target.ip + ("*" if outcome.masqueraded else ""))
    return " ".join(sorted(words))
