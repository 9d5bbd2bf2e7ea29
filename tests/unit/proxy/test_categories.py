"""Which endpoints each policy may choose, and what an empty list means (behaviour rows 10 to 14)."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from kubesvc.proxy.model import Endpoint, Family, NodeFacts, ServicePort, ServicePortName, Target
from kubesvc.proxy.plan import plan_port

UNUSED = None
"""The Service has no policy that would look at this list."""

PLAIN = ""
ITP_LOCAL = "iTP=Local"
ETP_LOCAL = "eTP=Local nodePort"
ITP_LOCAL_NODEPORT = "iTP=Local nodePort"
BOTH_LOCAL = "iTP=Local eTP=Local nodePort"
ETP_LOCAL_INTERNAL_ONLY = "eTP=Local"


@dataclass(frozen=True)
class Case:
    """Endpoints as `NUMBER[@here][!STATE][ zone=a,b][ node=x,y]`; the lists by the endpoints' numbers."""

    name: str
    policies: str
    endpoints: tuple[str, ...]
    cluster: str | None
    local: str | None
    usable: bool = True
    zone: str = "a"


def ready_in(*zones: str) -> tuple[str, ...]:
    """Endpoints 1, 2, ... each hinted for one entry of `zones`; "" is no hint."""
    return tuple(f"{number} zone={zone}" if zone else str(number) for number, zone in enumerate(zones, 1))


CASES = [
    Case("no endpoints", PLAIN, (), "", UNUSED, usable=False),
    Case("no endpoints, Local", ITP_LOCAL, (), UNUSED, "", usable=False),
    Case("no endpoints, both Local", BOTH_LOCAL, (), "", "", usable=False),
    Case("all ready", PLAIN, ("1", "2@here"), "1 2", UNUSED),
    Case("some ready", PLAIN, ("1!notready", "2"), "2", UNUSED),
    Case("none ready", PLAIN, ("1!notready", "2!notready"), "", UNUSED, usable=False),
    Case("all terminating", PLAIN, ("1@here!terminating", "2!terminating"), "1 2", UNUSED),
    Case("terminating beside a ready one", PLAIN, ("1!terminating", "2"), "2", UNUSED),
    Case("terminating and gone", PLAIN, ("1!terminating", "2!gone"), "1", UNUSED),
    Case("all gone", PLAIN, ("1!gone", "2@here!gone"), "", UNUSED, usable=False),
    Case("serving without terminating or being ready is not used", PLAIN, ("1!serving",), "", UNUSED, usable=False),
    Case("iTP Local, all remote", ITP_LOCAL, ("1", "2"), UNUSED, ""),
    Case("iTP Local, all here", ITP_LOCAL, ("1@here", "2@here"), UNUSED, "1 2"),
    Case("iTP Local, some here", ITP_LOCAL, ("1@here", "2"), UNUSED, "1"),
    Case("iTP Local, here only terminating", ITP_LOCAL, ("1@here!terminating", "2"), UNUSED, "1"),
    Case("iTP Local, here only not ready", ITP_LOCAL, ("1@here!notready", "2!notready"), UNUSED, "", usable=False),
    Case("iTP Local with a node port needs the cluster's too", ITP_LOCAL_NODEPORT, ("1@here", "2"), "1 2", "1"),
    Case("eTP Local, some here", ETP_LOCAL, ("1@here", "2"), "1 2", "1"),
    Case("eTP Local counts only where it is reachable", ETP_LOCAL_INTERNAL_ONLY, ("1", "2@here"), "1 2", UNUSED),
    Case("both Local, some here", BOTH_LOCAL, ("1@here", "2"), "1 2", "1"),
    Case("both Local, all remote", BOTH_LOCAL, ("1", "2"), "1 2", ""),
    Case("both Local, all remote and terminating", BOTH_LOCAL, ("1!terminating", "2!terminating"), "1 2", ""),
    Case(
        "each list falls back on its own",
        ETP_LOCAL,
        ("1", "2@here!notready", "3@here!terminating", "4!terminating"),
        "1",
        "3",
    ),
    Case("local ready beats local terminating", ETP_LOCAL, ("1@here!terminating", "2@here", "3"), "2 3", "2"),
    Case("zone hints", PLAIN, ready_in("a", "b", "c", "a"), "1 4", UNUSED),
    Case("zone hints, several each", PLAIN, ready_in("a,b,c", "b,c", "b,d", "c"), "1 2 4", UNUSED, zone="c"),
    Case("zone hints, one endpoint has none", PLAIN, ready_in("a", "b", "", "a"), "1 2 3 4", UNUSED),
    Case("zone hints, none for this zone", PLAIN, ready_in("a", "a"), "1 2", UNUSED, zone="b"),
    Case("zone hints, the node has no zone", PLAIN, ready_in("a"), "1", UNUSED, zone=""),
    Case("zone hints, one here is not ready", PLAIN, (*ready_in("a", "b"), "3!notready zone=a"), "1", UNUSED),
    Case("zone hints, all here are not ready", PLAIN, ("1!notready zone=a", "2 zone=b"), "2", UNUSED),
    Case("hints of unready endpoints do not count", PLAIN, ("1 zone=a", "2 zone=b", "3!notready"), "1", UNUSED),
    Case("hints are ignored in the fall-back", PLAIN, ("1!terminating zone=a", "2!terminating zone=b"), "1 2", UNUSED),
    Case(
        "hints do not filter the local list, eTP",
        ETP_LOCAL,
        ("1@here zone=a", "2@here zone=b", "3 zone=c", "4 zone=a"),
        "1 4",
        "1 2",
    ),
    Case("hints do not filter the local list, iTP", ITP_LOCAL_NODEPORT, ("1@here zone=b", "2 zone=a"), "2", "1"),
    Case("node hints", PLAIN, ("1 node=me", "2 node=other", "3 node=me,other"), "1 3", UNUSED),
    Case("node hints beat zone hints", PLAIN, ("1 zone=b node=me", "2 zone=a node=other"), "1", UNUSED),
    Case("node hints for others: the zone's", PLAIN, ("1 zone=a node=x", "2 zone=b node=y"), "1", UNUSED),
    Case("node hints not on all: the zone's", PLAIN, ("1 zone=b node=me", "2 zone=a"), "2", UNUSED),
    Case("node hints without zone hints, for others: all", PLAIN, ("1 node=x", "2 node=y"), "1 2", UNUSED),
]


def parse(text: str) -> Endpoint:
    first, *hints = text.split()
    place, _, state = first.partition("!")
    number, _, here = place.partition("@")
    ready, serving, terminating = {
        "": (True, True, False),
        "notready": (False, False, False),
        "serving": (False, True, False),
        "terminating": (False, True, True),
        "gone": (False, False, True),
    }[state]
    hinted = dict(hint.split("=") for hint in hints)
    zones, nodes = (tuple(filter(None, hinted.get(kind, "").split(","))) for kind in ("zone", "node"))
    return Endpoint(f"10.0.0.{number}", 80, "me" if here else "other", ready, serving, terminating, zones, nodes)


def port(policies: str) -> ServicePort:
    words = policies.split()
    return ServicePort(
        name=ServicePortName("default", "web", "", "TCP"),
        family=Family.IPV4,
        cluster_ip="10.96.0.1",
        port=80,
        internal_local="iTP=Local" in words,
        external_local="eTP=Local" in words,
        external_type="nodePort" in words,
    )


def numbers(targets: Iterable[Target]) -> str:
    return " ".join(target.ip.rpartition(".")[2] for target in targets)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_policy_has_its_endpoints(case: Case) -> None:
    service = port(case.policies)

    plan = plan_port(service, [parse(text) for text in case.endpoints], NodeFacts("me", zone=case.zone))

    cluster, local = (
        " ".join(target.ip.rpartition(".")[2] for target in list_) for list_ in (plan.cluster, plan.local)
    )
    assert (cluster if service.uses_cluster_list else UNUSED) == case.cluster
    assert (local if service.uses_local_list else UNUSED) == case.local
    assert plan.any_usable is case.usable
