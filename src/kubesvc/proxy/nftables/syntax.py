"""Small pieces of nft's language: chains, maps and sets as text."""

from collections.abc import Iterable

from kubesvc.proxy.model import Family

TABLE = "kubesvc-proxy"
PROTOCOLS = ("tcp", "udp", "sctp")
CLIENT_SEEDS = (0x6B756265, 0x73766331)
HASH_MODULUS = 4294967295


def nft_family(family: Family) -> str:
    """What nft calls the family, as a table's family and as a header."""
    return "ip" if family is Family.IPV4 else "ip6"


def client(family: Family) -> str:
    """The expression that tells clients with affinity apart.

    nft 1.0.6 miscompiles map updates whose key has more than 16 bytes: the value's register
    overlaps the key's end. Two independent hashes stand for an IPv6 source; clients whose 64 bits
    collide share an endpoint, which is harmless.
    """
    if family is Family.IPV4:
        return "ip saddr"
    return " . ".join(f"jhash ip6 saddr mod {HASH_MODULUS} seed {seed:#x}" for seed in CLIENT_SEEDS)


def client_type(family: Family) -> str:
    """What a map keyed by `client` declares; nft 1.0.6 crashes when it lists a `typeof jhash`."""
    return "ip saddr" if family is Family.IPV4 else "numgen random mod 2 . numgen random mod 2"


def block(kind: str, name: str, *lines: str) -> str:
    """`chain`, `map` or `set` with one statement per line."""
    return f"  {kind} {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }"


def chain(name: str, *rules: str) -> str:
    """A regular chain."""
    return block("chain", name, *rules)


def base_chain(name: str, type_: str, hook: str, priority: str, *rules: str) -> str:
    """A chain the kernel enters by itself."""
    return block("chain", name, f"type {type_} hook {hook} priority {priority}; policy accept;", *rules)


def map_(name: str, types: str, *options: str) -> str:
    """A map of the key and value given as nft's `typeof` expressions."""
    return block("map", name, f"typeof {types};", *(f"{option};" for option in options))


def set_(name: str, types: str, *options: str) -> str:
    """A set of the key given as nft's `typeof` expression."""
    return block("set", name, f"typeof {types};", *(f"{option};" for option in options))


def range_set(name: str, types: str, ranges: Iterable[str]) -> str:
    """A set of CIDRs that is known when the table is made."""
    elements = ", ".join(ranges)
    filled = [f"elements = {{ {elements} }}"] if elements else []
    return set_(name, types, "flags interval", "auto-merge", *filled)


def table(family: Family, *body: str) -> str:
    """Commands that make, or add to, the proxy's table."""
    return f"table {nft_family(family)} {TABLE} {{\n" + "\n".join(body) + "\n}\n"
