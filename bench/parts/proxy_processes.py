"""The processes of `bench/proxy.py`: the API feed, and a proxy."""

import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

from bench.parts import proxy_feed

ENDPOINTS = 10
NODE = "node-0"
API_PORT, HEALTH_PORT, METRICS_PORT = 6400, 10256, 10249


class Feed:
    """The API server's process."""

    def __init__(self, services: int) -> None:
        script = proxy_feed.__file__
        self._process = subprocess.Popen(
            [sys.executable, script, str(API_PORT), str(services), str(ENDPOINTS), NODE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._fresh = IPv4Address("10.200.0.0")
        self._answer()

    def change(self, service: int) -> tuple[int, bytes]:
        """Replace one endpoint's address: the nanosecond of the event, and the new address."""
        self._fresh += 1
        return self._say(f"change {service} {self._fresh}"), self._fresh.packed

    def burst(self, count: int) -> tuple[int, bytes]:
        """Replace an endpoint of each of `count` Services; the last one's new address."""
        first = self._fresh + 1
        self._fresh += count
        return self._say(f"burst {count} {first}"), self._fresh.packed

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _say(self, line: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Proxy:
    """A proxy's process, ours or the peer's: started at once, its rules stay when it ends."""

    def __init__(self, mode: str, kubeconfig: Path, peer: str = "") -> None:
        common = [
            "--kubeconfig", str(kubeconfig), "--hostname-override", NODE, "--proxy-mode", mode,
            "--cluster-cidr", "10.1.0.0/16", "--healthz-bind-address", f"127.0.0.1:{HEALTH_PORT}",
            "--metrics-bind-address", f"127.0.0.1:{METRICS_PORT}",
        ]  # fmt: skip
        ours = [sys.executable, "-m", "kubesvc.cli.main", "proxy", "--log-level", "error"]
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [*([peer, "--conntrack-max-per-core", "0"] if peer else ours), *common],
            stderr=subprocess.DEVNULL if peer else None,
        )
        self.pid = self._process.pid

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
