"""Connections from the counters of rules, as iptables-save lists them."""

import pytest
from tests.unit.proxy.test_counting import WEB

from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.compile import compile_port
from kubesvc.proxy.iptables.counts import count_connections
from kubesvc.proxy.model import Family, PortPlan, ServicePort, Target
from kubesvc.proxy.rules import RuleSettings

POD, OTHER = Target("10.244.1.2", 8080), Target("10.244.1.3", 8080)
PORT = ServicePort(WEB, Family.IPV4, "10.96.0.1", 80, node_port=30080, external_ips=("198.51.100.7",))
PLAN = PortPlan(PORT, cluster=(POD, OTHER), any_usable=True)
QUIET = WEB._replace(service="quiet")
PLANS = {WEB: PLAN, QUIET: PortPlan(ServicePort(QUIET, Family.IPV4, "10.96.0.2", 80), cluster=(POD,))}


def listed() -> list[str]:
    """The plan's rules of the nat table with as many packets each as its place, beside somebody else's."""
    rules = compile_port(PLAN, RuleSettings(Family.IPV4))
    lines = [(chain, line) for chain, chain_lines in rules.chains.items() for line in chain_lines]
    lines += [(chain, line) for (table, chain), of in rules.entries.items() if table == "nat" for line in of]
    counted = [f"[{place}:{60 * place}] -A {chain} {line}" for place, (chain, line) in enumerate(lines, 1)]
    others = ["*nat", ":PREROUTING ACCEPT [9:540]", "[7:1] -A DOCKER -j DNAT --to-destination 172.17.0.2:80", "COMMIT"]
    return [*others, *counted]


def packets(lines: list[str], *words: str) -> int:
    return sum(int(line[1:].split(":")[0]) for line in lines if all(word in line for word in words))


@pytest.mark.parametrize("end", ["", "\n"], ids=["lines", "lines as they are read"])
def test_portals_count_for_the_service_and_translations_for_the_endpoint(end: str) -> None:
    lines = listed()
    counts = count_connections([line + end for line in lines], PLANS)

    assert packets(lines, f"-A {names.SERVICES} ") > packets(lines, f"-A {names.SERVICES} ", "10.96.0.1") > 0
    assert counts.services == {WEB: packets(lines, f"-A {names.SERVICES} ") + packets(lines, names.NODEPORTS), QUIET: 0}
    assert counts.endpoints == {
        (WEB, POD): packets(lines, "DNAT", "10.244.1.2"),
        (WEB, OTHER): packets(lines, "DNAT", "10.244.1.3"),
        (QUIET, POD): 0,
    }
    assert counts.endpoints[WEB, POD] != counts.endpoints[WEB, OTHER] != 0


def test_endpoints_are_left_out_where_nobody_asks() -> None:
    assert count_connections(listed(), PLANS, endpoints=False).endpoints == {}
