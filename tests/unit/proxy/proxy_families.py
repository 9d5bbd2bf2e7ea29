"""The behaviour table's cases in IPv6: every address has its counterpart, so that one table serves both families."""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tests.unit.proxy.proxy_behaviour import Case

from kubesvc.proxy.model import Family

_PREFIXES = {
    "10.244.1": "fd00:244:1::",
    "10.244.2": "fd00:244:2::",
    "10.96.0": "fd00:96::",
    "10.96.7": "fd00:96::7:",
    "192.0.2": "2001:db8::",
    "198.51.100": "2001:db8:51::",
    "203.0.113": "2001:db8:113::",
}
_WHOLE = {
    "127.0.0.1": "::1",
    "10.244.1.2/32": "fd00:244:1::2/128",
    "192.0.2.0/24": "2001:db8::/64",
    "198.51.100.0/24": "2001:db8:51::/64",
    "198.51.100.0/25": "2001:db8:51::/65",
    "10.244.0.0/16": "fd00:244::/32",
    "10.96.0.0/16": "fd00:96::/64",
    "0.0.0.0/0": "::/0",
    "2001:db8::/32": "192.0.2.0/24",
    "2001:db8:7::/48": "192.0.2.0/24",
    "2001:db8:5::5": "203.0.113.5",
    "2001:db8:5::7": "203.0.113.7",
    "fd00::2": "10.244.9.2",
    "IPv4": "IPv6",
    "IPv6": "IPv4",
}
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+(/\d+)?|[0-9a-f]+(:+[0-9a-f]*)+(/\d+)?|^IPv[46]$")


@lru_cache
def six(text: str) -> str:
    """A text whose addresses are those of the other family; raises KeyError at one without a counterpart."""
    return _ADDRESS.sub(lambda found: _counterpart(found[0]), text)


def destination(text: str, family: Family) -> str:
    """`ADDRESS:PORT`, in IPv6 `[ADDRESS]:PORT`."""
    address, _, port = text.rpartition(":")
    return text if family is Family.IPV4 else f"[{six(address)}]:{port}"


def in_family(case: Case, family: Family) -> Case:
    """The same case in a family."""
    if family is Family.IPV4:
        return case
    return replace(case, objects=_translated(case.objects), options=_translated(case.options))


def _counterpart(text: str) -> str:
    if text in _WHOLE:
        return _WHOLE[text]
    prefix, _, last = text.rpartition(".")
    return _PREFIXES[prefix] + last


def _translated(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _translated(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_translated(each) for each in value)
    return six(value) if isinstance(value, str) else value
