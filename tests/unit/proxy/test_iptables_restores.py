"""What iptables-restore is fed: names people know, partial where little changed, complete on clean-up."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Document, Place, iptables_restore, plans_of, tracker_of
from tests.unit.proxy.test_nft_changes import SERVICES, documents

from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.compile import NO_RULES, PortRules, compile_port
from kubesvc.proxy.iptables.restore import batches, cleanup_restores, partial_restore, together
from kubesvc.proxy.iptables.saved import Saved
from kubesvc.proxy.model import ServicePortName, Target
from kubesvc.testing.builders import endpoint_slice, service

Tables = dict[str, dict[str, list[str]]]

BUILT_IN = {"nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT")}


def rules_of(objects: list[Document] | tuple[Document, ...]) -> dict[str, PortRules]:
    place = Place()
    plans = plans_of(tracker_of(place, objects))
    return {str(name): compile_port(plan, place.settings) for name, plan in plans.items()}


def empty_tables() -> Tables:
    return {table_: {chain: [] for chain in chains} for table_, chains in BUILT_IN.items()}


def apply(tables: Tables, text: str) -> Tables:
    """A kernel that takes iptables-restore --noflush and refuses what the real one refuses."""
    result = {name: {chain: list(rules) for chain, rules in chains.items()} for name, chains in tables.items()}
    current: dict[str, list[str]] = {}
    for line in text.splitlines():
        operation, _, rest = line.partition(" ")
        chain, _, rule = rest.partition(" ")
        if line.startswith("*"):
            current = result[line[1:]]
        elif line.startswith(":"):
            current[line[1:].split()[0]] = []
        elif operation == "-A":
            current[chain].append(rule)
        elif operation == "-I":
            current[chain].insert(0, rule.removeprefix("1 "))
        elif operation == "-D":
            current[chain].remove(rule)
        elif operation == "-X":
            assert current[chain] == []
            assert not any(r.endswith(f"-j {chain}") for rules in current.values() for r in rules), chain
            del current[chain]
    for chains in result.values():
        for rules in chains.values():
            for rule in rules:
                target = f" {rule}".split(" -j ")[1].split()[0]
                assert target in chains or not target.startswith("KUBE-"), target
    return result


def save(tables: Tables) -> dict[str, list[str]]:
    return {
        name: [f":{chain} - [0:0]" for chain in chains] + [f"-A {c} {r}" for c, rules in chains.items() for r in rules]
        for name, chains in tables.items()
    }


def read(tables: Tables) -> Saved:
    saved = Saved()
    for table_, lines in save(tables).items():
        saved.take(table_, lines)
    return saved


def repair_text(rules: dict[str, PortRules], tables: Tables) -> str:
    return iptables_restore(rules.values(), Place().settings, read(tables)).text()


def full(rules: dict[str, PortRules], tables: Tables) -> Tables:
    return apply(tables, repair_text(rules, tables))


def change(before: dict[str, PortRules], after: dict[str, PortRules]) -> str:
    ports = before.keys() | after.keys()
    parts = [partial_restore(before.get(port, NO_RULES), after.get(port, NO_RULES)) for port in ports]
    return together((None, part) for part in parts).text()


def cleanup(tables: Tables, size: int) -> Tables:
    for batch in batches(cleanup_restores(save(tables)), size):
        tables = apply(tables, together(batch).text())
    return tables


def in_any_order(tables: Tables) -> Any:
    return {name: {chain: sorted(rules) for chain, rules in chains.items()} for name, chains in tables.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(SERVICES, min_size=1, max_size=5))
def test_partial_restores_end_where_a_full_one_would(history: list[dict[str, dict[str, Any]]]) -> None:
    tables = full({}, empty_tables())
    before: dict[str, PortRules] = {}
    for state in history:
        after = rules_of(documents(state))
        tables = apply(tables, change(before, after))
        before = after

    assert in_any_order(tables) == in_any_order(full(before, full({}, empty_tables())))
    assert tables["nat"]["KUBE-SERVICES"][-1].endswith("-j KUBE-NODEPORTS")


@settings(max_examples=40, deadline=None)
@given(SERVICES, SERVICES)
def test_a_full_restore_replaces_whatever_was_there(
    old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> None:
    over = full(rules_of(documents(new)), full(rules_of(documents(old)), empty_tables()))

    assert in_any_order(over) == in_any_order(full(rules_of(documents(new)), empty_tables()))


@given(SERVICES)
@settings(max_examples=20, deadline=None)
def test_cleanup_leaves_what_was_there_before(state: dict[str, dict[str, Any]]) -> None:
    others = empty_tables()
    others["filter"]["INPUT"] = ["-p tcp -m tcp --dport 22 -j ACCEPT"]
    others["nat"]["MY-CHAIN"] = ["-j RETURN"]
    tables = full(rules_of(documents(state)), others)

    assert cleanup(tables, 1_000_000) == others
    assert cleanup(tables, 3) == others


def test_one_endpoint_more_touches_only_the_services_own_chains() -> None:
    before = rules_of(table.everything(f"{table.POD}@node-a"))
    after = rules_of(table.everything(f"{table.POD}@node-a", f"{table.REMOTE_POD}@node-b"))

    text = change(before, after)

    touched = {line.split()[1] for line in text.splitlines() if line.startswith(("-A", "-I", "-D", "-X"))}
    assert {chain[:9] for chain in touched} == {"KUBE-SVC-", "KUBE-SEP-"}


def test_chain_names_are_the_ones_kube_proxy_gives() -> None:
    """From kube-proxy's own published test vectors."""
    name = ServicePortName("ns1", "svc1", "p80", "TCP")

    assert names.policy_chain(name, local=False) == "KUBE-SVC-XPGD46QRK7WJZT7O"
    assert names.policy_chain(name, local=True) == "KUBE-SVL-XPGD46QRK7WJZT7O"
    assert names.external_chain(name) == "KUBE-EXT-XPGD46QRK7WJZT7O"
    assert names.firewall_chain(name) == "KUBE-FW-XPGD46QRK7WJZT7O"
    assert names.endpoint_chain(name, Target("10.180.0.1", 80)) == "KUBE-SEP-SXIVWICOYRO3J4NJ"


def test_a_plain_service_reads_as_people_know_it() -> None:
    (rules,) = rules_of(
        [
            service("web", port=80, cluster_ip="10.96.0.9"),
            endpoint_slice("web", "10.1.2.3@b", "10.1.2.4@node-a", port=8080),
        ]
    ).values()

    first, second, service_chain = "KUBE-SEP-I2HXHBF6CA5ULY6U", "KUBE-SEP-XQZOHC7K4FXJFPNT", "KUBE-SVC-LOLE4ISW44XBNF3G"
    portal = '-d 10.96.0.9/32 -p tcp -m tcp --dport 80 -m comment --comment "default/web cluster IP"'
    half = "-m statistic --mode random --probability 0.50000000000"
    web = '-m comment --comment "default/web"'
    assert rules.chains == {
        first: (f"-p tcp {web} -j DNAT --to-destination 10.1.2.3:8080",),
        second: (
            f"-s 10.1.2.4/32 {web} -j KUBE-MARK-MASQ",
            f"-p tcp {web} -j DNAT --to-destination 10.1.2.4:8080",
        ),
        service_chain: (
            f"! -s 10.244.0.0/16 {portal} -j KUBE-MARK-MASQ",
            f'-m comment --comment "default/web -> 10.1.2.3:8080" {half} -j {first}',
            f'-m comment --comment "default/web -> 10.1.2.4:8080" -j {second}',
        ),
    }
    assert rules.entries["nat", "KUBE-SERVICES"] == (f"{portal} -j {service_chain}",)
