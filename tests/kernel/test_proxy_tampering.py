"""Other programs on the node: what they do to our rules is undone, what is theirs is left alone."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from tests.kernel.proxy_net import Net, topology
from tests.kernel.test_proxy_daemon import World, answers, inside, put, web
from tests.unit.proxy import proxy_behaviour as table

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


MEDDLING = {
    "an element is taken out": (
        "nftables",
        f"nft delete element ip kubesvc-proxy services {{ {table.CLUSTER_IP} . tcp . 80 }}",
    ),
    "a set is emptied": ("nftables", "nft flush set ip kubesvc-proxy cluster-ips"),
    "an endpoint is another one": (
        "nftables",
        (
            "nft -f - delete element ip kubesvc-proxy endpoints-tcp { 0:4000 . 0 } ; "
            "add element ip kubesvc-proxy endpoints-tcp { 0:4000 . 0 : 10.244.9.9 . 9 }"
        ),
    ),
    "a range is another one": ("nftables", "nft add element ip kubesvc-proxy pods { 192.0.2.0/24 }"),
    "a rule comes first": ("nftables", "nft insert rule ip kubesvc-proxy services drop"),
    "a rule is replaced by another": (
        "nftables",
        (
            "nft -f - flush chain ip kubesvc-proxy nat-postrouting ; "
            "add rule ip kubesvc-proxy nat-postrouting drop ; add rule ip kubesvc-proxy nat-postrouting drop"
        ),
    ),
    "a chain is emptied": ("nftables", "nft flush chain ip kubesvc-proxy dispatch"),
    "the filter table is emptied": ("iptables", "iptables -t filter -F"),
    "a portal is taken out": ("iptables", "iptables -t nat -D KUBE-SERVICES 1"),
    "a jump is taken out": ("iptables", "iptables -t filter -D FORWARD 1"),
    "a rule is added to ours": ("iptables", "iptables -t nat -I KUBE-SERVICES 1 -j RETURN"),
}


@pytest.mark.parametrize("what", MEDDLING)
def test_what_others_do_to_our_rules_is_undone_within_a_second(net: Net, what: str) -> None:
    mode, command = MEDDLING[what]

    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            before = await rules_of(world)
            await world.run("sh", "-c", _shell(command))
            assert await rules_of(world) != before
            await world.until(lambda: same(world, before), seconds=1.5)
            assert await answers(world)

    async def same(world: World, before: list[str]) -> bool:
        return await rules_of(world) == before

    async def rules_of(world: World) -> list[str]:
        if mode == "nftables":
            listed = await world.run("nft", "-s", "list", "table", "ip", "kubesvc-proxy")
        else:
            listed = await world.run("iptables-save")
        return sorted(line for line in listed.splitlines() if not line.startswith(("#", ":")))

    inside(net, mode, story)


def _shell(command: str) -> str:
    if not command.startswith("nft -f - "):
        return command
    lines = command.removeprefix("nft -f - ").replace(" ; ", "\n")
    return f"nft -f - <<'END'\n{lines}\nEND"


def test_what_others_do_to_their_own_tables_is_their_business(net: Net) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            await world.run("nft", "add table ip theirs { chain c { counter; }; set s { type ipv4_addr; }; }")
            await world.run("nft", "add element ip theirs s { 192.0.2.77 }")
            await world.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "192.0.2.88", "-j", "ACCEPT")
            theirs = await others(world)
            await asyncio.sleep(1.2)  # longer than a look at the rules takes
            assert await world.metric("kubesvc_proxy_repairs_total") == 0
            await world.run("nft", "flush", "table", "ip", "kubesvc-proxy")
            await world.until(lambda: answers(world), seconds=1.5)
            assert await others(world) == theirs
        await world.run("nft", "delete", "table", "ip", "theirs")
        await world.run("iptables", "-t", "nat", "-F")

    async def others(world: World) -> str:
        listed = await world.run("nft", "-s", "list", "table", "ip", "theirs")
        return listed + await world.run("nft", "-s", "list", "table", "ip", "nat")

    inside(net, "nftables", story)


def test_chains_of_others_in_the_same_iptables_are_left_alone(net: Net) -> None:
    async def story(world: World) -> None:
        await world.run("iptables", "-t", "nat", "-N", "THEIRS")
        await world.run("iptables", "-t", "nat", "-A", "PREROUTING", "-j", "THEIRS")
        put(world, *web())
        async with world.proxy():
            await world.run("iptables", "-t", "nat", "-A", "THEIRS", "-s", "192.0.2.88", "-j", "RETURN")
            await asyncio.sleep(1.2)  # longer than a look at the rules takes
            assert await world.metric("kubesvc_proxy_repairs_total") == 0
            await world.run("iptables", "-t", "nat", "-F", "KUBE-SERVICES")
            await world.until(lambda: answers(world), seconds=1.5)
            listed = await world.run("iptables-save", "-t", "nat")
            assert "-A THEIRS -s 192.0.2.88/32 -j RETURN" in listed
            assert "-A PREROUTING -j THEIRS" in listed
        await world.run("iptables", "-t", "nat", "-F", "THEIRS")
        await world.run("iptables", "-t", "nat", "-D", "PREROUTING", "-j", "THEIRS")

    inside(net, "iptables", story)
