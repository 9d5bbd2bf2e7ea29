"""The fields of the table's maps and sets, and elements on their way to and from the kernel."""

from collections.abc import Iterable, Iterator

from kubesvc.linux.nft_elements import Element, Field, Item, SetType
from kubesvc.proxy.model import Family, Target
from kubesvc.proxy.nftables.elements import ElementKey, Value


def set_types(family: Family) -> dict[str, SetType]:
    """Every map and set that holds Services."""
    address: Field = "ipv4" if family is Family.IPV4 else "ipv6"
    range_: Field = "range4" if family is Family.IPV4 else "range6"
    vip: tuple[Field, ...] = (address, "proto", "port")
    types = [
        SetType("services", vip, ("word",)),
        SetType("node-ports", ("proto", "port"), ("word",)),
        SetType("sticky", ("word",), ("chain",)),
        SetType("choices", ("word", "word"), ("word",)),
        SetType("cluster-ips", (address,)),
        SetType("allowed", (*vip, range_)),
        SetType("hairpins", (address, address)),
    ]
    for protocol in ("tcp", "udp", "sctp"):
        types.append(SetType(f"endpoints-{protocol}", ("word", "word"), (address, "port")))
        types.append(SetType(f"bound-{protocol}", ("word",), (address, "port")))
    return {each.name: each for each in types}


def to_kernel(types: dict[str, SetType], elements: Iterable[tuple[ElementKey, Value]]) -> list[Element]:
    """Elements as the kernel's socket takes them."""
    return [Element(types[str(key[0])], key[1:], _items(value)) for key, value in elements]


def from_kernel(
    set_: SetType, found: Iterable[tuple[tuple[Item, ...], tuple[Item, ...]]]
) -> Iterator[tuple[ElementKey, Value]]:
    """Listed elements as the compiler writes them."""
    for key, items in found:
        yield (set_.name, *key), _value(items)


def _items(value: Value) -> tuple[Item, ...]:
    if value is None:
        return ()
    return value if isinstance(value, Target) else (value,)


def _value(items: tuple[Item, ...]) -> Value:
    if not items:
        return None
    return Target(str(items[0]), int(items[1])) if len(items) == 2 else items[0]
