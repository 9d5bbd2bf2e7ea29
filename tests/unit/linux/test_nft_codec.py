"""Elements survive the way to the kernel's bytes and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import parse_attributes
from kubesvc.linux.nft_codec import ElementCodec, Item, SetType

HEAD = wire.pack_attributes([(1, "table"), (2, "set")])
VALUES: dict[str, st.SearchStrategy[Item]] = {
    "ipv4": st.ip_addresses(v=4).map(str),
    # Not those that hold an IPv4 address: Python and libc write them differently.
    "ipv6": st.ip_addresses(v=6).filter(lambda address: int(address) >= 2**48).map(str),
    "word": st.integers(0, 2**32 - 1),
    "port": st.integers(0, 65535),
    "proto": st.sampled_from([6, 17, 132]),
    "range4": st.sampled_from(["10.0.0.0/8", "192.0.2.7/32", "0.0.0.0/0"]),
    "range6": st.sampled_from(["fd00::/8", "2001:db8::1/128"]),
    "chain": st.just("sticky-60-4"),
}
SETS = [
    SetType("services", ("ipv4", "proto", "port"), ("word",)),
    SetType("endpoints", ("word", "word"), ("ipv6", "port")),
    SetType("hairpins", ("ipv6", "ipv6")),
    SetType("allowed", ("ipv4", "proto", "port", "range4")),
    SetType("allowed6", ("ipv6", "proto", "port", "range6")),
    SetType("sticky", ("word",), ("chain",)),
]


def elements() -> st.SearchStrategy[tuple[SetType, tuple[Item, ...], tuple[Item, ...]]]:
    def of(set_: SetType) -> st.SearchStrategy[tuple[SetType, tuple[Item, ...], tuple[Item, ...]]]:
        key, value = (st.tuples(*(VALUES[field] for field in fields)) for fields in (set_.key, set_.value))
        return st.tuples(st.just(set_), key, value)

    return st.sampled_from(SETS).flatmap(of)


def body_of(message: bytes) -> bytes:
    """The one element inside a message's attributes."""
    return parse_attributes(parse_attributes(message)[3])[1]


@given(elements())
def test_what_is_packed_is_what_is_listed(
    element: tuple[SetType, tuple[Item, ...], tuple[Item, ...]],
) -> None:
    set_, key, value = element
    codec = ElementCodec(set_, HEAD)
    message = codec.pack(key, value)
    assert message.startswith(HEAD)
    assert codec.unpack(body_of(message)) == (key, value)
    if not set_.value:
        assert codec.pack_key(key) == message


def test_the_kernel_may_list_attributes_in_another_order() -> None:
    codec = ElementCodec(SETS[0], HEAD)
    body = body_of(codec.pack(("192.0.2.1", 6, 80), (7,)))
    length = int.from_bytes(body[:2], "little")
    turned = body[length:] + body[:length]
    assert codec.unpack(turned) == (("192.0.2.1", 6, 80), (7,))


def test_an_item_of_the_wrong_type_is_named() -> None:
    codec = ElementCodec(SETS[0], HEAD)
    with pytest.raises(TypeError, match="'http' is not a port"):
        codec.pack(("192.0.2.1", 6, "http"), (7,))
