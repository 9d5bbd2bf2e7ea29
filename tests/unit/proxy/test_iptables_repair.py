"""Reading chains back: what is as it should be is not written again, what differs is, and nothing else."""

from collections.abc import Callable, Iterator

import pytest
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Place, iptables_restore, place_of, plans_of, tracker_of
from tests.unit.proxy.proxy_families import in_family
from tests.unit.proxy.proxy_vectors import VECTORS
from tests.unit.proxy.test_iptables_restores import Tables, apply, empty_tables, full, read, repair_text, rules_of

from kubesvc.proxy.iptables.compile import PortRules, compile_port
from kubesvc.proxy.iptables.saved import Saved, canonical
from kubesvc.proxy.model import Family
from kubesvc.testing.builders import endpoint_slice, service

RULES = rules_of(
    [
        *table.everything(*table.LOCAL_AND_REMOTE, sessionAffinity="ClientIP"),
        service("more", port=80, cluster_ip="10.96.0.20"),
        endpoint_slice("more", "10.1.2.3@b", "10.1.2.4@b", port=8080),
        service("empty", port=80, cluster_ip="10.96.0.21"),
    ]
)
MORE = next(chain for name, rules in RULES.items() if "more" in name for chain in rules.chains if "SVC" in chain)


def with_others(tables: Tables) -> Tables:
    tables["nat"]["POSTROUTING"] = ["-s 10.0.0.0/8 -j MASQUERADE", *tables["nat"]["POSTROUTING"]]
    tables["nat"]["THEIRS"] = ["-j RETURN"]
    tables["filter"]["INPUT"] += ["-p tcp -m tcp --dport 22 -j ACCEPT"]
    return tables


def present() -> Tables:
    return with_others(full(RULES, empty_tables()))


def test_what_is_there_is_not_written_again() -> None:
    assert repair_text(RULES, present()) == ""


def test_without_any_change_every_case_of_the_behaviour_table_is_left_as_it_is() -> None:
    for place, rules in shapes():
        tables = empty_tables()
        tables = apply(tables, iptables_restore(rules, place.settings, Saved()).text())

        assert iptables_restore(rules, place.settings, read(tables)).text() == ""


def shapes() -> Iterator[tuple[Place, list[PortRules]]]:
    """The rules of every case of the behaviour table, in both families, with and without comments."""
    for family in Family:
        for each in (*table.CASES, *VECTORS):
            case = in_family(each, family)
            place = place_of(case, family)
            plans = plans_of(tracker_of(place, case.objects)).values()
            for terse in (False, True):
                yield place, [compile_port(plan, place.settings, terse=terse) for plan in plans]


def test_no_two_rules_are_taken_for_one() -> None:
    rules = {
        rule for _, ports in shapes() for port in ports for lines in (*port.chains.values(), *port.entries.values())
        for rule in lines
    }  # fmt: skip

    assert len(rules) > 200
    assert len({canonical(rule) for rule in rules}) == len(rules)


@pytest.mark.parametrize(
    "other",
    [
        '-d 10.96.0.9/32 -p tcp -m comment --comment "default/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-X',
        '-p tcp -d 10.96.0.9/32 -m tcp --dport 80 -m comment --comment "default/web cluster IP" -j KUBE-SVC-X',
        '-s 0.0.0.0/0 -d 10.96.0.9 -p tcp --dport 80 -m comment --comment "default/web cluster IP" -j KUBE-SVC-X',
    ],
)
def test_one_rule_in_other_words_is_the_same(other: str) -> None:
    ours = '-d 10.96.0.9/32 -p tcp -m tcp --dport 80 -m comment --comment "default/web cluster IP" -j KUBE-SVC-X'

    assert canonical(other) == canonical(ours)


@pytest.mark.parametrize(
    "other",
    [
        "! -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j X",
        "-d 10.96.0.9/31 -p tcp -m tcp --dport 80 -j X",
        "-s 10.96.0.9/32 -p tcp -m tcp --dport 80 -j X",
        "-d 10.96.0.9/32 -p tcp -m tcp --dport 80 -m owner --uid-owner 7 -j X",
        "-d 10.96.0.9/32 -p tcp -m tcp --dport 80 -g X",
        "-d 10.96.0.9/32 -p udp -m udp --dport 80 -j X",
    ],
)
def test_another_rule_is_not_the_same(other: str) -> None:
    assert canonical(other) != canonical("-d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j X")


def changed(tables: Tables, in_table: str, chain: str, change: Callable[[list[str]], list[str]]) -> Tables:
    tables[in_table][chain] = change(tables[in_table][chain])
    return tables


@pytest.mark.parametrize(
    ("in_table", "chain", "change", "operations"),
    [
        ("nat", "PREROUTING", lambda rules: rules[1:], 1),
        ("filter", "FORWARD", lambda rules: rules[:-1], 1),
        ("filter", "FORWARD", lambda rules: [rules[0].replace("-j", "-s 10.9.9.9/32 -j"), *rules[1:]], 1),
        ("nat", "KUBE-SERVICES", lambda rules: rules[1:], 1),
        ("nat", "KUBE-SERVICES", lambda rules: rules[:-1], 1),
        ("nat", "KUBE-SERVICES", lambda rules: ["-j RETURN", *rules], 1),
        ("nat", "KUBE-SERVICES", lambda rules: [*rules, "-j RETURN"], 3),
        ("nat", "KUBE-SERVICES", lambda rules: [rules[-1], *rules[:-1]], 2),
        ("filter", "KUBE-REFUSE", lambda rules: rules[::-1], 4),
        ("filter", "KUBE-CLUSTER-IPS", lambda rules: [*rules, "-d 10.96.7.7/32 -j KUBE-REFUSE"], 3),
        ("nat", MORE, lambda rules: rules[:-1], 4),
        ("nat", MORE, lambda rules: [rules[0].replace("-d 10.96.0.20/32", "-d 10.96.0.99/32"), *rules[1:]], 4),
    ],
)
def test_what_differs_is_mended_and_nothing_else_written(
    in_table: str, chain: str, change: Callable[[list[str]], list[str]], operations: int
) -> None:
    wanted = present()
    damaged = changed(present(), in_table, chain, change)

    text = repair_text(RULES, damaged)

    assert len([line for line in text.splitlines() if line[0] in ":-"]) == operations
    mended = apply(damaged, text)
    assert {name: sorted(rules) for name, rules in mended["nat"].items()} == {
        name: sorted(rules) for name, rules in wanted["nat"].items()
    } or in_table == "filter"
    if chain != "FORWARD":
        assert repair_text(RULES, mended) == ""
        assert mended[in_table][chain][-1:] == wanted[in_table][chain][-1:]


def test_what_a_flush_took_comes_back_and_what_is_too_much_goes() -> None:
    damaged = with_others(empty_tables())
    damaged["nat"]["KUBE-SVC-AAAAAAAAAAAAAAAA"] = ["-j KUBE-SEP-AAAAAAAAAAAAAAAA"]
    damaged["nat"]["KUBE-SEP-AAAAAAAAAAAAAAAA"] = ["-p tcp -j DNAT --to-destination 10.9.9.9:80"]

    mended = apply(damaged, repair_text(RULES, damaged))

    assert repair_text(RULES, mended) == ""
    assert "KUBE-SVC-AAAAAAAAAAAAAAAA" not in mended["nat"]
    assert mended["nat"]["THEIRS"] == ["-j RETURN"]
    assert "-s 10.0.0.0/8 -j MASQUERADE" in mended["nat"]["POSTROUTING"]


def test_the_rules_of_one_port_keep_their_order() -> None:
    """A source that may pass stands before the drop of all others."""
    rules = rules_of([*table.everything(loadBalancerSourceRanges=["192.0.2.0/24"])])
    wanted = full(rules, empty_tables())
    guard = "KUBE-PROXY-FIREWALL"
    damaged = changed(full(rules, empty_tables()), "filter", guard, lambda lines: lines[::-1])

    assert apply(damaged, repair_text(rules, damaged))["filter"][guard] == wanted["filter"][guard]


def test_a_legacy_table_grows_by_what_a_restore_says() -> None:
    def entries(tables: Tables, name: str) -> int:
        return sum(map(len, tables[name].values())) + 2 * len(tables[name])

    tables = empty_tables()
    for rules in (RULES, {}, RULES):
        restore = iptables_restore(rules.values(), Place().settings, read(tables))
        after = apply(tables, restore.text())
        assert {name: entries(after, name) - entries(tables, name) for name in after} == {
            name: restore.growth[name] for name in after
        }
        tables = after


def test_only_endpoints_that_may_meet_themselves_here_are_masqueraded() -> None:
    (rules,) = rules_of(
        [
            service("web", port=80, cluster_ip="10.96.0.9"),
            endpoint_slice("web", "10.1.2.3@b", "10.244.1.2@node-a", port=8080),
        ]
    ).values()

    first = [lines[0] for name, lines in rules.chains.items() if name.startswith("KUBE-SEP-")]
    assert sorted("KUBE-MARK-MASQ" in rule for rule in first) == [False, True]


def test_with_many_endpoints_their_rules_have_no_comments() -> None:
    place = Place(Family.IPV4)
    (plan,) = plans_of(tracker_of(place, table.only_cluster_ip(*table.LOCAL_AND_REMOTE))).values()
    rules = compile_port(plan, place.settings, terse=True)

    of_endpoints = [line for name, lines in rules.chains.items() if "-SEP-" in name for line in lines]
    assert of_endpoints
    assert not any("--comment" in line for line in of_endpoints)
    assert all("default/web cluster IP" in line for line in rules.entries["nat", "KUBE-SERVICES"])
