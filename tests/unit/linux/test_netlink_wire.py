"""Netlink messages as bytes."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink import Route
from kubesvc.linux.netlink_values import parse_prefix, parse_route, route_body
from kubesvc.linux.netlink_wire import Denied, Exists, Missing, NetlinkError, parse_error


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8, unique_by=lambda pair: pair[0]))
def test_attributes_survive_the_wire(attributes: list[tuple[int, bytes]]) -> None:
    packed = wire.pack_attributes(attributes)
    assert len(packed) % 4 == 0
    assert wire.parse_attributes(packed) == dict(attributes)


def test_nested_attributes_are_marked_and_parsed_in_turn() -> None:
    packed = wire.pack_attributes([(18, [(1, "veth"), (2, 7)])])
    assert struct.unpack_from("=HH", packed)[1] == 18 | wire.NLA_F_NESTED
    inner = wire.parse_attributes(wire.parse_attributes(packed)[18])
    assert (wire.text(inner[1]), wire.number(inner[2])) == ("veth", 7)


def test_several_messages_share_a_datagram() -> None:
    data = wire.pack_message(16, 0, 1, b"abcd") + wire.pack_message(3, 2, 1, b"")
    assert [(kind, body) for kind, _, _, body in wire.parse_messages(data)] == [(16, b"abcd"), (3, b"")]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.EEXIST, Exists), (errno.ENODEV, Missing), (errno.EPERM, Denied), (errno.EINVAL, NetlinkError)],
)
def test_an_error_names_its_object(code: int, kind: type[NetlinkError]) -> None:
    err = parse_error(code, "link br0")
    assert type(err) is kind
    assert err.errno == code
    assert str(err).startswith("link br0: ")


def test_a_bare_address_is_a_whole_prefix() -> None:
    assert parse_prefix("10.0.0.1") == (2, bytes((10, 0, 0, 1)), 32)
    assert parse_prefix("fd00::/64")[2] == 64
    for nonsense in ("nonsense", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1"):
        with pytest.raises(NetlinkError):
            parse_prefix(nonsense)


@pytest.mark.parametrize("dst", ["10.244.1.0/24", "fd00:1::/64", "default"])
def test_a_route_reads_back_as_it_was_written(dst: str) -> None:
    body = route_body(dst, [], kind="unreachable", scope=0, table=254, onlink=False, via=None)
    assert parse_route(body, {}) == Route(dst, "unreachable")
