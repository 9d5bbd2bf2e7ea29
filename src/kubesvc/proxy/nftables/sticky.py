"""The chains of session affinity: one pair per time-out, size and list, made when first needed.

`sticky-SECONDS-SIZE[-local]` is entered with a list word in the priority. `bind-SECONDS[-local]`
is entered with an endpoint word, remembers it for the client (or prolongs it), and goes there; it
returns if that endpoint is no longer in the list.
"""

import re
from collections.abc import Collection

from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.syntax import PROTOCOLS, TABLE, chain, client, nft_family, table

TRIES = 8
PREFIXES = ("sticky-", "bind-")
"""What the names of affinity chains, and of no others, begin with."""

_NAME = re.compile(r"sticky-(\d+)-(\d+)(-local)?")
_LIST = f"{words.ID_MASK:#x}"
_TO_LIST = f"meta priority set meta priority & {_LIST}"
_TO_LOCAL = f"meta priority set meta priority | {words.LOCAL:#x}"
_IS_BOUND = f"meta priority & {words.NUMBER_MASK:#x} != 0x0"


def sticky_name(seconds: int, size: int, *, local: bool) -> str:
    """The affinity chain of a time-out in seconds and a number of slots."""
    return f"sticky-{seconds}-{size}" + ("-local" if local else "")


def sticky_chains(family: Family, name: str) -> tuple[str, str]:
    """The chain `name` and, before it, the `bind` chain that it jumps to."""
    bind, _ = chain_names(name)
    _, seconds, size, *local = name.split("-")
    return (
        chain(bind, *_bind_rules(family, int(seconds), local=bool(local))),
        chain(name, *_sticky_rules(family, bind, int(size), local=bool(local))),
    )


def chain_names(name: str) -> tuple[str, str]:
    """The chain that the affinity chain `name` jumps to, and itself."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not the name of an affinity chain")
    return f"bind-{found[1]}{found[3] or ''}", name


def remove_chains_text(family: Family, names: Collection[str]) -> str:
    """Commands that remove chains which only each other refer to."""
    where = f"chain {nft_family(family)} {TABLE}"
    return "".join(f"{verb} {where} {name}\n" for verb in ("flush", "delete") for name in names)


def replace_sticky(family: Family, name: str) -> str:
    """Commands that (re)make an affinity chain in a table that exists; safe to repeat."""
    bind, sticky = sticky_chains(family, name)
    names = [text.split()[1] for text in (bind, sticky)]
    empty = table(family, *(chain(each) for each in names))
    flush = "".join(f"flush chain {nft_family(family)} {TABLE} {each}\n" for each in names)
    return empty + flush + table(family, bind, sticky)


def _bind_rules(family: Family, seconds: int, *, local: bool) -> list[str]:
    ip = nft_family(family)
    return [
        f"update @affinity {{ {client(family)} . meta priority & {_LIST} timeout {seconds}s : meta priority }}",
        *([_TO_LOCAL] if local else []),
        *(f"meta l4proto {proto} dnat {ip} to meta priority map @bound-{proto}" for proto in PROTOCOLS),
    ]


def _sticky_rules(family: Family, bind: str, size: int, *, local: bool) -> list[str]:
    pick = "meta priority set meta priority . numgen random mod {} map @choices"
    return [
        _TO_LIST,
        f"meta priority set {client(family)} . meta priority map @affinity",
        f"{_IS_BOUND} jump {bind}",
        _TO_LIST,
        # An update keeps the value of an element that exists: a stale one has to go first.
        f"delete @affinity {{ {client(family)} . meta priority : meta priority }}",
        *([_TO_LOCAL] if local else []),
        *[pick.format(size)] * TRIES,
        pick.format(1),
        f"{_IS_BOUND} jump {bind}",
        "drop",
    ]
