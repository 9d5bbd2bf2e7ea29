"""A machine that can hold the rules of one family only serves that one, if it is the node's own."""

from typing import Any

import pytest
from tests.unit.proxy.proxy_engines import NODE
from tests.unit.proxy.test_proxier import FakeBackend

from kubesvc.client import Client
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.families import open_families
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.model import Family
from kubesvc.proxy.options import ProxyOptions
from kubesvc.proxy.tracker import Tracker
from kubesvc.testing.builders import node
from kubesvc.testing.local import LocalTransport


async def served(without: Family | None, *nodes: dict[str, Any], bind_address: str = "") -> list[Family]:
    def open_one(family: Family) -> FamilyProxy:
        if family is without:
            raise BackendError(f"no {family} today")
        return FamilyProxy(Tracker(family, NODE), FakeBackend())

    options = ProxyOptions(kubeconfig=None, node_name=NODE, bind_address=bind_address)
    families = await open_families(options, Client(LocalTransport(*nodes)), Family, open_one)
    return [each.tracker.family for each in families]


async def test_both_are_served_where_both_are_usable() -> None:
    assert await served(None) == [Family.IPV4, Family.IPV6]


@pytest.mark.parametrize(
    ("ip", "without", "left"),
    [("192.0.2.1", Family.IPV6, Family.IPV4), ("fd00::1", Family.IPV4, Family.IPV6)],
)
async def test_the_nodes_own_family_is_enough(
    ip: str, without: Family, left: Family, caplog: pytest.LogCaptureFixture
) -> None:
    assert await served(without, node(NODE, ip=ip)) == [left]
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert warning.__dict__["fields"]["family"] == without


@pytest.mark.parametrize(("ip", "without"), [("192.0.2.1", Family.IPV4), ("fd00::1", Family.IPV6)])
async def test_without_the_nodes_own_family_the_proxy_does_not_start(ip: str, without: Family) -> None:
    with pytest.raises(BackendError, match=f"no {without} today"):
        await served(without, node(NODE, ip=ip))


async def test_the_bind_address_goes_before_the_nodes_and_ipv4_before_nothing() -> None:
    with pytest.raises(BackendError):
        await served(Family.IPV6, node(NODE, ip="192.0.2.1"), bind_address="fd00::1")
    with pytest.raises(BackendError):
        await served(Family.IPV4, bind_address="::")
    assert await served(Family.IPV6) == [Family.IPV4]
