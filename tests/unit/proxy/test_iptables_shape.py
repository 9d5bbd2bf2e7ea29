"""Telling our chains from ones that somebody has changed, by what iptables-save shows."""

from collections.abc import Iterable

import pytest
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.proxy.iptables.compile import PortRules, compile_port
from kubesvc.proxy.iptables.restore import full_restore
from kubesvc.proxy.iptables.shape import is_as_planned
from kubesvc.proxy.iptables.static import fixed_rules

PLACE = Place()
FIXED = fixed_rules(PLACE.settings)


def rules() -> list[PortRules]:
    plans = plans_of(tracker_of(PLACE, table.everything(*table.LOCAL_AND_REMOTE)))
    return [compile_port(plan, PLACE.settings) for plan in plans.values()]


def saved(*more: str) -> dict[str, list[str]]:
    """The tables as a save shows them after a restore: what was inserted stands among what was appended."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in [*full_restore(rules(), FIXED, {"nat": [], "filter": []}).text().splitlines(), "*nat", *more]:
        if line.startswith("*"):
            current = found.setdefault(line[1:], [])
        elif line.startswith("-"):
            current.append(line.replace(" 1 ", " ", 1).replace("-I ", "-A ", 1) if line.startswith("-I") else line)
    return found


def without(lines: Iterable[str], start: str) -> list[str]:
    left = list(lines)
    left.remove(next(line for line in left if line.startswith(start)))
    return left


def test_what_was_written_is_as_planned() -> None:
    assert is_as_planned(rules(), FIXED, saved())


def test_what_others_have_in_the_same_tables_does_not_matter() -> None:
    assert is_as_planned(rules(), FIXED, saved("-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE", "-A THEIRS -j RETURN"))


@pytest.mark.parametrize(
    ("in_table", "start"),
    [
        ("nat", "-A PREROUTING"),
        ("nat", "-A KUBE-SERVICES"),
        ("nat", "-A KUBE-SEP-"),
        ("filter", "-A FORWARD"),
        ("filter", "-A KUBE-REFUSE"),
    ],
)
def test_a_missing_rule_is_noticed(in_table: str, start: str) -> None:
    found = saved()
    found[in_table] = without(found[in_table], start)

    assert not is_as_planned(rules(), FIXED, found)


def test_an_added_or_changed_rule_is_noticed() -> None:
    assert not is_as_planned(rules(), FIXED, saved("-A KUBE-SERVICES -j RETURN"))
    changed = saved()
    changed["nat"] = [line.replace("10.244.2.2:8080", "10.244.2.9:8080") for line in changed["nat"]]
    assert not is_as_planned(rules(), FIXED, changed)
