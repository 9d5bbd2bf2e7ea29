"""iptables by its own programs: which variant this machine has, restores and saves."""

import asyncio
import codecs
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import cached_property

from kubesvc.linux.iptables_feed import FeedUnusable, Refused, RestoreFeed


class IptablesError(Exception):
    """iptables refused, with its own words.

    IptablesError
    └── IptablesMissing   the programs are not installed
    """


class IptablesMissing(IptablesError):
    pass


WAIT_SECONDS = 5
OLDEST = (1, 6, 2)
"""The first whose restore waits for the lock (`-w`) and which knows `MASQUERADE --random-fully`."""
_BLOCK = 1 << 20
_HINT = "iptables is not installed (Debian and Ubuntu: apt install iptables)"


class Iptables:
    """One family's iptables in the current network namespace; `variant` is "", "nft" or "legacy"."""

    def __init__(self, *, ipv6: bool, variant: str = "") -> None:
        base = "ip6tables" if ipv6 else "iptables"
        self._base = f"{base}-{variant}" if variant else base
        self._restore = self._find("restore")
        self._save = self._find("save")
        self._restoring = [self._restore, "--noflush", "-w", str(WAIT_SECONDS)]
        self._feed: RestoreFeed | None = RestoreFeed(self._restoring)

    @property
    def name(self) -> str:
        """The command as a person would type it."""
        return self._base

    @cached_property
    def uses_nftables(self) -> bool:
        """Whether this variant keeps its rules in nftables, where every change raises the generation."""
        return "nf_tables" in self._version

    @cached_property
    def _version(self) -> str:
        return subprocess.run([self._base, "--version"], capture_output=True, text=True, check=False).stdout.strip()

    def check(self) -> None:
        """Try whether the nat table can be had; raises IptablesError."""
        found = re.search(r"v(\d+)\.(\d+)\.(\d+)", self._version)
        if found and tuple(map(int, found.groups())) < OLDEST:
            raise IptablesError(f"{self._version} is too old: {'.'.join(map(str, OLDEST))} or later is needed")
        done = subprocess.run(
            [self._base, "-w", str(WAIT_SECONDS), "-t", "nat", "-S", "PREROUTING"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise IptablesError(_explain(self._base, done.stderr))

    def has_chain(self, table: str, chain: str) -> bool:
        """Whether there is such a chain."""
        command = [self._base, "-w", str(WAIT_SECONDS), "-t", table, "-S", chain, "1"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    async def restore(self, text: str) -> None:
        """Apply tables in iptables-save's format, each atomically, leaving other chains alone.

        Goes through a program that stays, where that can be had, until `close`.
        """
        try:
            if self._feed is not None:
                self._feed.start()
                await asyncio.to_thread(self._feed.restore, text)
                return
        except FeedUnusable:
            self._feed = None
        except Refused as err:
            raise IptablesError(_explain(self._base, str(err))) from err
        await self._run(self._restoring, text)

    async def save(self, table: str) -> AsyncIterator[list[str]]:
        """The lines of one table, many at a time; none if the table does not exist."""
        process = await asyncio.create_subprocess_exec(
            self._save, "-t", table, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=_BLOCK
        )
        assert process.stdout is not None
        assert process.stderr is not None
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        rest = ""
        try:
            while block := await process.stdout.read(_BLOCK):
                *lines, rest = (rest + decode(block)).split("\n")
                yield lines
            errors = await process.stderr.read()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            await process.wait()
        if process.returncode:
            raise IptablesError(_explain(self._base, errors.decode(errors="replace")))

    def close(self) -> None:
        """End the program that stays."""
        if self._feed is not None:
            self._feed.close()

    def save_now(self, table: str, *, counters: bool = False) -> list[str]:
        """Like `save`, outside an event loop; with `counters`, `[packets:bytes]` stands before each rule."""
        command = [self._save, "-t", table, *(["-c"] if counters else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.splitlines() if done.returncode == 0 else []

    def counted_lines(self, table: str) -> Iterator[str]:
        """Like `save_now` with counters, line by line; raises IptablesError where there is no such table."""
        command = [self._save, "-t", table, "-c"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            yield from process.stdout
            errors = process.stderr.read()
        if process.returncode:
            raise IptablesError(_explain(self._base, errors))

    def restore_now(self, text: str) -> None:
        """Like `restore`, outside an event loop."""
        done = subprocess.run(self._restoring, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise IptablesError(_explain(self._base, done.stderr))

    async def _run(self, command: list[str], text: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            _, errors = await process.communicate(text.encode())
        except asyncio.CancelledError:
            # Tables are committed whole or not at all, so that it may be killed; but it has to be waited for.
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
            raise
        if process.returncode:
            raise IptablesError(_explain(self._base, errors.decode(errors="replace")))

    def _find(self, what: str) -> str:
        found = shutil.which(f"{self._base}-{what}")
        if found is None:
            raise IptablesMissing(_HINT)
        return found


def _explain(name: str, errors: str) -> str:
    if "Permission denied" in errors or "must be root" in errors:
        return f"{name}: permission denied (run as root, or with CAP_NET_ADMIN in this network namespace)"
    return f"{name}: {errors.strip() or 'refused without a reason'}"
