"""What nft lists of the live table -> the form in which the tracer reads rules, and what a Service has in it. Pure."""

import re
from collections.abc import Iterable, Mapping

from kubesvc.proxy.model import PortPlan, ServicePortName
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.compiler import Compiler
from kubesvc.proxy.nftables.elements import ElementKey, Elements, Value

_HANDLE = re.compile(r"(?<=[ (])([0-9a-f]{1,4}):([0-9a-f]{0,4})(?=[ ,}]|$)")
_ELEMENTS = re.compile(r"elements = \{([^}]*)\}")


def parse_listing(text: str) -> str:
    """The same rules as the layout writes them: priorities as numbers instead of traffic control's handles."""
    lines = text.expandtabs(2).splitlines()
    return "\n".join(_numbers(line) if "priority" in line and "hook" not in line else line for line in lines) + "\n"


def parse_ranges(text: str) -> list[str]:
    """The elements of one listed set of ranges."""
    found = _ELEMENTS.search(text)
    return [item.strip() for item in found[1].split(",") if item.strip()] if found else []


def fill_ranges(text: str, ranges: Mapping[str, Iterable[str]]) -> str:
    """A terse listing with the elements of its static sets put in."""
    for name, items in ranges.items():
        block = f"  set {name} {{\n"
        text = text.replace(block, f"{block}    elements = {{ {', '.join(items)} }};\n", 1)
    return text


def expected_elements(live: Elements, plans: Mapping[ServicePortName, PortPlan]) -> dict[ElementKey, Value]:
    """What a proxy that starts over these elements would have in force for these ports."""
    compiler = Compiler()
    compiler.adopt(live)
    for name, plan in plans.items():
        compiler.set_port(name, plan)
    return dict(compiler.ledger.items())


def differences(live: Elements, plans: Mapping[ServicePortName, PortPlan]) -> list[str]:
    """Where the kernel holds something else than the plans ask for, in nft's words."""
    expected = expected_elements(live, plans)
    numbers = {_number_in(key, value) for key, value in expected.items()} - {0}
    found = []
    for key, value in expected.items():
        if key not in live:
            found.append(f"missing in the kernel: {say_element(key, value)}")
        elif live[key] != value:
            found.append(f"wrong in the kernel: {say_element(key, live[key])}, wanted {say_value(value)}")
    for key, value in live.items():
        if key not in expected and _number_in(key, value) in numbers:
            found.append(f"too much in the kernel: {say_element(key, value)}")
    return found


def say_element(key: ElementKey, value: Value) -> str:
    """An element as nft lists it."""
    text = " . ".join(_say_item(item) for item in key[1:])
    return f"@{key[0]} {{ {text}" + (f" : {say_value(value)}" if value is not None else "") + " }"


def say_value(value: Value) -> str:
    """A value as nft lists it."""
    if isinstance(value, tuple):
        return f"{value.ip} . {value.port}"
    return _say_item(value) if isinstance(value, int) else str(value)


def _say_item(item: int | str) -> str:
    if isinstance(item, int) and item > 0xFFFF:
        return f"{item >> 16:x}:{item & 0xFFFF:x}"
    return str(item)


def _number_in(key: ElementKey, value: Value) -> int:
    """The service port's number in an element; 0 where there is none."""
    if key[0] in ("services", "node-ports"):
        return words.number_of(value) if isinstance(value, int) else 0
    if str(key[0]).startswith(("endpoints-", "bound-", "choices", "sticky")):
        return words.number_of(int(key[1]))
    return 0


def _numbers(line: str) -> str:
    line = re.sub(r"\bnone\b", "0x0", line)
    return _HANDLE.sub(lambda found: f"{(int(found[1], 16) << 16) + int(found[2] or '0', 16):#x}", line)
