"""`make bench-proxy`: the proxy with 100, 1,000 and 10,000 Services of 10 endpoints each, both modes.

    bench/proxy.py [SIZE ...]

Everything runs in a network namespace of its own: the API feed (`parts/proxy_feed.py`), the real
`kubesvc proxy`, clients and servers. A change counts from the moment before its watch event is
written to the socket until nftables' own notification of the rule arrives here. Where KUBE_PROXY
names a binary, it runs on the same feed. BENCH_IPTABLES_SIZES (default: 100 1000) limits the sizes
of the iptables mode, each change of which makes the kernel walk all its rules; `iptables` has to be
iptables-nft, since iptables-legacy notifies nobody.
"""

import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.parts import proxy_feed, proxy_path
from bench.parts.figures import figure
from bench.parts.proxy_kernel import Monitor, cpu_seconds, get, memory_mib, metric
from bench.parts.proxy_processes import API_PORT, ENDPOINTS, HEALTH_PORT, METRICS_PORT, Feed, Proxy

from kubesvc.linux.nft_elements import ElementSocket

SAMPLES = {"nftables": 300, "iptables": 100}
WRITES = "kubesvc_proxy_kernel_writes_total"
OBJECTS = {"nftables": "elements", "iptables": "lines"}
NODE_ADDRESS = "10.89.0.11"
PAIRS, SECONDS = 100, 0.05
BURST = 1000
PEER_BUDGET_SECONDS = 120.0
PATHS = {"connect": "bare_connections", "request": "connections", "stream": "throughput"}
"""Bare ones are reset as soon as they are made: all that a rule costs and nothing else; the others carry a request."""
SHORT = {"nftables": "nft", "iptables": "ipt"}


class Loaded:
    """How a start went, in seconds since the process began."""

    critical = done = float("nan")
    notifications = 0


def follow_start(proxy: Proxy, monitor: Monitor, *, quiet: float) -> Loaded:
    """Watch until /healthz says 200 and the kernel has reported nothing for `quiet` seconds.

    `done` is then the last report, or the moment of the first 200, whichever came later. Only a
    proxy whose /healthz waits for the first sync can do with a short silence.
    """
    loaded, dns = Loaded(), socket.inet_aton(proxy_feed.cluster_ip(1))
    last = healthy = 0.0
    began = time.monotonic()
    while not healthy or time.monotonic() - max(last, began) < quiet:
        if data := monitor.read(0.01):
            last = time.monotonic()
            loaded.notifications += 1
            if loaded.critical != loaded.critical and dns in data:
                loaded.critical = last - proxy.began
        elif not healthy and get(HEALTH_PORT, "/healthz")[0] == 200:
            healthy = time.monotonic()
    loaded.done = max(last, healthy if quiet < 1 else 0.0) - proxy.began
    return loaded


def samples(feed: Feed, monitor: Monitor, size: int, count: int, budget: float) -> list[float]:
    """Milliseconds from event to kernel of single changes, sorted."""
    taken: list[float] = []
    draw, deadline = random.Random(1), time.monotonic() + budget
    while len(taken) < count and (time.monotonic() < deadline or len(taken) < 3):
        monitor.drain()
        sent, address = feed.change(draw.randrange(size))
        taken.append((monitor.wait_for(address, 120) - sent) / 1e6)
        time.sleep(0.01)
    return sorted(taken)


def show_changes(name: str, size: int, taken: list[float], *, targets: bool) -> None:
    p50, p99 = statistics.median(taken), taken[min(len(taken) - 1, len(taken) * 99 // 100)]
    figure(f"{name}.one_change_p50[{size}]", p50, "ms", "<= 5" if targets else "")
    figure(f"{name}.one_change_p99[{size}]", p99, "ms", "<= 25" if targets else "")
    print(f"#   {len(taken)} samples, worst {taken[-1]:.4g} ms")


def measure(mode: str, size: int, kubeconfig: Path) -> int:
    """Everything about one mode at one size; the number of rules."""
    name, nft = f"proxy.{SHORT[mode]}", mode == "nftables"
    table = ElementSocket("ip", "kubesvc-proxy" if nft else "nat")
    feed, monitor = Feed(size), Monitor()
    proxy = Proxy(mode, kubeconfig)
    try:
        cold = follow_start(proxy, monitor, quiet=0.1)
        figure(f"{name}.cold_sync[{size}]", cold.done, "s", "<= 4" if nft else "")
        figure(f"{name}.critical_in_force[{size}]", cold.critical, "s", "<= 0.5")
        figure(f"{name}.cold_cpu[{size}]", cpu_seconds(proxy.pid), "s")
        rules = table.count_rules()
        figure(f"{name}.rules[{size}]", rules, "rules")
        if nft:
            written = metric(METRICS_PORT, WRITES)
            figure(f"{name}.elements_per_service[{size}]", written / size, "elements")
        budget = 60.0
        written = metric(METRICS_PORT, WRITES)
        taken = samples(feed, monitor, size, SAMPLES[mode], budget)
        show_changes(name, size, taken, targets=nft)
        figure(
            f"{name}.written_per_change[{size}]", (metric(METRICS_PORT, WRITES) - written) / len(taken), OBJECTS[mode]
        )
        count = min(BURST, size)
        sent, address = feed.burst(count)
        figure(f"{name}.burst_of_{count}[{size}]", (monitor.wait_for(address, 300) - sent) / 1e9, "s")
        show_memory(name, size, proxy.pid)
        show_flush(name, mode, size)
        proxy.close()
        monitor.drain()
        proxy = Proxy(mode, kubeconfig)
        warm = follow_start(proxy, monitor, quiet=0.1)
        figure(f"{name}.warm_restart[{size}]", warm.done, "s", "<= 3" if nft else "")
        written = metric(METRICS_PORT, WRITES)
        figure(f"{name}.warm_restart_writes[{size}]", written, OBJECTS[mode], "<= 0")
        show_memory(f"{name}.after_warm_restart", size, proxy.pid)
        return rules
    finally:
        proxy.close()
        for closing in (feed, monitor, table):
            closing.close()
        flush_ruleset()


def show_memory(name: str, size: int, pid: int) -> None:
    resident, proportional, most = memory_mib(pid)
    figure(f"{name}.memory_rss[{size}]", resident, "MiB", "<= 200")
    figure(f"{name}.memory_pss[{size}]", proportional, "MiB")
    figure(f"{name}.memory_most[{size}]", most, "MiB")


def show_flush(name: str, mode: str, size: int) -> None:
    """Somebody deletes the table: how soon rules are written again, and how soon all are back."""
    table = "kubesvc-proxy" if mode == "nftables" else "nat"
    subprocess.run(["nft", "delete", "table", "ip", table], check=True)
    began = time.monotonic_ns()
    # Not the one that has heard of each deleted rule and is still busy with that.
    fresh = Monitor()
    try:
        first = fresh.wait_for(table.encode(), 60)
        back = first
        while fresh.read(2.0):
            back = time.monotonic_ns()
    finally:
        fresh.close()
    figure(f"{name}.flush_noticed[{size}]", (first - began) / 1e9, "s", "<= 1")
    figure(f"{name}.flush_repaired[{size}]", (back - began) / 1e9, "s")


def measure_peer(binary: str, mode: str, size: int, kubeconfig: Path) -> None:
    """The same feed for upstream's proxy, as far as it goes in reasonable time."""
    name = f"peer.{SHORT[mode]}"
    table = ElementSocket("ip", "kube-proxy" if mode == "nftables" else "nat")
    feed, monitor = Feed(size), Monitor()
    proxy = Proxy(mode, kubeconfig, binary)
    try:
        cold = follow_start(proxy, monitor, quiet=8.0)
        figure(f"{name}.cold_sync[{size}]", cold.done, "s")
        figure(f"{name}.critical_in_force[{size}]", cold.critical, "s")
        figure(f"{name}.rules[{size}]", table.count_rules(), "rules")
        budget = PEER_BUDGET_SECONDS / 2
        show_changes(name, size, samples(feed, monitor, size, 30, budget), targets=False)
        show_memory(name, size, proxy.pid)
    except TimeoutError as err:
        print(f"# {name}[{size}]: {err}")
    finally:
        proxy.close()
        for closing in (feed, monitor, table):
            closing.close()
        flush_ruleset()


def measure_path(mode: str, size: int, kubeconfig: Path) -> None:
    """Connections and throughput through the first ClusterIP and through the hand-written rule, by turns."""
    feed, monitor = Feed(size), Monitor()
    proxy = Proxy(mode, kubeconfig)
    vip = proxy_feed.cluster_ip(0)
    try:
        follow_start(proxy, monitor, quiet=0.1)
        monitor.close()
        for kind, unit, scale in (("connect", "/s", 1.0), ("request", "/s", 1.0), ("stream", "GB/s", 1e9)):
            turns = proxy_path.load(kind, PAIRS, SECONDS, vip, proxy_path.HAND_VIP)
            ours, hand = zip(*turns, strict=True)
            name = f"proxy.{SHORT[mode]}.{PATHS[kind]}"
            figure(f"{name}[{size}]", statistics.median(ours) / scale, unit)
            figure(f"{name}_by_hand[{size}]", statistics.median(hand) / scale, unit)
            ratio = statistics.median(mine / other for mine, other in turns)
            figure(f"{name}_ratio[{size}]", ratio, "", "" if kind == "connect" else ">= 0.95")
    finally:
        proxy.close()
        feed.close()
        flush_ruleset()


def flush_ruleset() -> None:
    """Only ever in the namespace that is this benchmark's own."""
    assert os.environ.get("BENCH_NETNS") == "own"
    subprocess.run(["nft", "flush", "ruleset"], check=True)


@contextmanager
def kubeconfig_file() -> Iterator[Path]:
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": f"http://127.0.0.1:{API_PORT}"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "users": [{"name": "bench", "user": {"token": "none"}}],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "kubeconfig")
        path.write_text(json.dumps(document))
        yield path


def describe() -> None:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    versions = [subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout.strip()
                for tool in ("nft", "iptables")]  # fmt: skip
    print(f"# {os.cpu_count()} x {cpu.partition(':')[2].strip()}, kernel {platform.release()}")
    print(f"# Python {platform.python_version()}, {', '.join(versions)}, load {os.getloadavg()[0]:.1f}")
    print(
        f"# {ENDPOINTS} endpoints a Service, {SAMPLES} changes a size, {PAIRS} pairs of {SECONDS:g} s on the data path"
    )


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [100, 1000, 10000]
    iptables_sizes = {int(word) for word in os.environ.get("BENCH_IPTABLES_SIZES", "100 1000").split()}
    peer = os.environ.get("KUBE_PROXY", "")
    describe()
    with kubeconfig_file() as kubeconfig:
        for mode in SAMPLES:
            rules: dict[int, int] = {}
            for size in sizes:
                if mode == "iptables" and size not in iptables_sizes:
                    continue
                rules[size] = measure(mode, size, kubeconfig)
                if peer:
                    measure_peer(peer, mode, size, kubeconfig)
            if len(rules) > 1:
                (small, few), *_, (large, many) = sorted(rules.items())
                target = "<= 0" if mode == "nftables" else ""
                figure(f"proxy.{SHORT[mode]}.rules_per_service", (many - few) / (large - small), "rules", target)
        endpoints = [proxy_feed.endpoint_ip(0, k) for k in range(ENDPOINTS)]
        with proxy_path.topology(endpoints):
            for size in (1, max(sizes)):
                measure_path("nftables", size, kubeconfig)


def in_own_namespace() -> None:
    """Run this script again where nothing can leave the machine; without root in a user namespace too."""
    if os.environ.get("BENCH_NETNS") != "own":
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        environment = os.environ | {"BENCH_NETNS": "own", "PYTHONPATH": str(Path(__file__).parents[1])}
        command = ["unshare", *user, "--net", "--mount", sys.executable, *sys.argv]
        os.execvpe("unshare", command, environment)
    # Names of namespaces made here are seen here alone.
    os.makedirs("/run/netns", exist_ok=True)
    for command in (
        ["mount", "-t", "tmpfs", "tmpfs", "/run/netns"],
        ["ip", "link", "set", "lo", "up"],
        ["ip", "addr", "add", f"{NODE_ADDRESS}/32", "dev", "lo"],
    ):
        subprocess.run(command, check=True)


if __name__ == "__main__":
    in_own_namespace()
    main()
