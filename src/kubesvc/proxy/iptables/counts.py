"""Connections by the counters of rules, as `iptables-save -c` lists them. Pure.

Rules of a large cluster are some hundred thousand lines: each is looked at once, and none is kept.
"""

from collections.abc import Iterable, Mapping

from kubesvc.proxy.iptables import names
from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import PortPlan, ServicePortName

_SHARED = (names.SERVICES, names.NODEPORTS)
_ENDPOINT = "KUBE-SEP-"


def count_connections(
    lines: Iterable[str], plans: Mapping[ServicePortName, PortPlan], *, endpoints: bool = True
) -> Counts:
    """By service port what its portals sent on, and by endpoint what its chain translated; `lines` of the nat table.

    Zero where there is no rule.
    """
    portals, translated = _read(lines, endpoints=endpoints)
    counts = Counts({}, {})
    for name, plan in plans.items():
        counts.services[name] = sum(portals.get(chain, 0) for chain in names.entrances(name))
        if endpoints:
            for target in plan.targets:
                counts.endpoints[name, target] = translated.get(names.endpoint_chain(name, target), 0)
    return counts


def _read(lines: Iterable[str], *, endpoints: bool) -> tuple[dict[str, int], dict[str, int]]:
    """Packets by the chain that a shared chain leads to, and by the endpoint's chain that translates."""
    portals: dict[str, int] = {}
    translated: dict[str, int] = {}
    for line in lines:
        counters, _, rest = line.partition(" -A ")
        chain, _, rule = rest.partition(" ")
        if chain in _SHARED:
            target = rule.rpartition("-j ")[2].split(" ", 1)[0].rstrip("\n")
            portals[target] = portals.get(target, 0) + _packets(counters)
        elif endpoints and chain.startswith(_ENDPOINT) and "-j DNAT " in rule:
            translated[chain] = translated.get(chain, 0) + _packets(counters)
    return portals, translated


def _packets(counters: str) -> int:
    """Of `[packets:bytes]`."""
    return int(counters[1:].partition(":")[0])
