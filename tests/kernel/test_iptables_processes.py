"""The programs of iptables mode die: the one that takes the restores, or the proxy in the middle of one."""

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.kernel.iptables_kernel import VARIANTS, Kernels, kernels, namespace, services, some
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Place

from kubesvc.linux.iptables import Iptables, IptablesError
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.iptables.backend import IptablesBackend
from kubesvc.proxy.model import PortPlan, ServicePortName

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

Plans = Mapping[ServicePortName, PortPlan]


@pytest.fixture
def node() -> Iterator[None]:
    with namespace():
        yield


@pytest.fixture
def open_kernel(node: None) -> Iterator[Kernels]:
    with kernels() as make:
        yield make


@pytest.mark.parametrize("variant", VARIANTS)
def test_restores_go_on_when_the_program_that_stays_is_killed(node: None, variant: str) -> None:
    iptables = Iptables(ipv6=False, variant=variant)
    make = "*nat\n:KUBE-SVC-{0} - [0:0]\nCOMMIT\n"
    try:
        asyncio.run(iptables.restore(make.format("ONE")))
        for child in _children("restore"):
            os.kill(child, signal.SIGKILL)
        # Whether this one meets the death or comes after it, the next one has a new program.
        try:
            asyncio.run(iptables.restore(make.format("TWO")))
        except IptablesError:
            asyncio.run(iptables.restore(make.format("TWO")))
        with pytest.raises(IptablesError, match="NONESUCH"):
            asyncio.run(iptables.restore("*nat\n-A KUBE-SVC-ONE -j NONESUCH\nCOMMIT\n"))
        asyncio.run(iptables.restore(make.format("THREE")))
        assert [iptables.has_chain("nat", f"KUBE-SVC-{name}") for name in ("ONE", "TWO", "THREE", "FOUR")] == [
            True, True, True, False,
        ]  # fmt: skip
    finally:
        iptables.close()
    assert not _children("restore")


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_pseudo_terminal_each_restore_has_a_program_of_its_own(
    open_kernel: Kernels, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def openpty() -> tuple[int, int]:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("pty.openpty", openpty)
    kernel = open_kernel(variant)
    plans = services(*some())

    asyncio.run(kernel.backend.full_sync(plans))
    asyncio.run(kernel.backend.sync({next(iter(plans)): None}))

    assert not _children("restore")
    assert kernel.backend.intact()
    report = asyncio.run(kernel.backend.full_sync(plans))
    assert 0 < report.writes < 10


def _children(word: str) -> list[int]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(child) for child in found if word in Path(f"/proc/{child}/cmdline").read_text()]


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_killed_proxy_leaves_is_mended_by_the_next_one(open_kernel: Kernels, variant: str) -> None:
    states = [services(*some(30), *table.everything(*table.LOCAL_AND_REMOTE[: 1 + number])) for number in range(3)]
    for round_ in range(4):
        _write_until_killed(variant, states, after=0.03 + 0.02 * round_)
        _until_orphans_end()
        kernel = open_kernel(variant)
        asyncio.run(kernel.backend.full_sync(states[0]))
        kernel.restart()
        assert asyncio.run(kernel.backend.full_sync(states[0])).writes == 0
        kernel.backend.close()


def _until_orphans_end() -> None:
    """The program that the killed proxy fed may still be at its last restore: it ends by itself."""
    deadline = time.monotonic() + 10
    while _orphans():
        assert time.monotonic() < deadline, "an iptables-restore is left over"
        time.sleep(0.01)


def _orphans() -> list[int]:
    """Programs that still run in this network namespace beside this process."""
    here = os.stat("/proc/thread-self/ns/net").st_ino
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if "-restore\0" in (entry / "cmdline").read_text() and os.stat(entry / "ns/net").st_ino == here:
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def _write_until_killed(variant: str, states: Iterable[Plans], *, after: float) -> None:
    """A child that changes rules as fast as it can, and is killed with SIGKILL after some seconds."""
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        backend = IptablesBackend(Place().settings, Iptables(ipv6=False, variant=variant))
        try:
            while True:
                for plans in states:
                    asyncio.run(backend.full_sync(plans))
                    os.write(begun, b"!")
        except BackendError:
            os._exit(1)
    os.read(ready, 1)
    signal.sigtimedwait((), after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(ready)
    os.close(begun)
    assert os.WIFSIGNALED(status)
