"""The options that flags and files stand for together, and following them as the files change."""

import asyncio
import hashlib
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from kubesvc.dns.answering import make_responder
from kubesvc.dns.corefile import CorefileError, read_corefile
from kubesvc.dns.kubedns import ConfigError, read_config_dir
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.routes import routes_of
from kubesvc.observe import log

_log = log("dns.following")
# What CoreDNS reloads at, and what daemons usually do.
_SIGNALS = (signal.SIGUSR1, signal.SIGHUP)
# As kube-dns looks at its ConfigMap.
_CONFIG_DIR_SECONDS = 10.0


class Configuration(NamedTuple):
    """What was read at one time: the options, the Corefile's hash, and what is to be said about its lines."""

    options: DnsOptions
    digest: str
    remarks: list[tuple[str, str]]


class Follower:
    """`options` are those in force. Raises CorefileError, ValueError and OSError for a Corefile unfit from the start.

    A directory that is unfit from the start is none until it is: a ConfigMap must not keep the DNS from starting.
    """

    def __init__(self, base: DnsOptions) -> None:
        self._base = base
        self._asked = asyncio.Event()
        self._failure = ""
        self.failures = 0
        self._read = self._first()
        self._use(self._read)

    async def changed(self) -> DnsOptions:
        """Other options, as soon as the files say them and are sound; never returns where there are none to follow."""
        while True:
            await self._pause()
            try:
                now = read(self._base)
            except (CorefileError, ValueError, OSError) as err:
                self._fail(err)
                continue
            self._failure = ""
            if now.options != self._read.options:
                self._read = now
                return now.options

    def followed(self) -> None:
        """What `changed` returned last is in force."""
        self._use(self._read)
        _log.info("configuration followed", file=self._base.corefile or self._base.config_dir)

    def refused(self, reason: Exception) -> None:
        """What `changed` returned last cannot be had."""
        self._fail(reason)

    def _first(self) -> Configuration:
        try:
            return read(self._base)
        except ConfigError as err:
            self._fail(err)
            configuration = read(replace(self._base, config_dir=None))
            return configuration._replace(options=replace(configuration.options, reload=_CONFIG_DIR_SECONDS))

    def _use(self, configuration: Configuration) -> None:
        self.options, self.digest = configuration.options, configuration.digest
        for place, reason in configuration.remarks:
            _log.warning("Corefile line without effect", place=place, reason=reason)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Look at the files when the process is told to, by SIGUSR1 or SIGHUP."""
        if self._base.corefile is None and self._base.config_dir is None:
            yield
            return
        loop = asyncio.get_running_loop()
        for signum in _SIGNALS:
            loop.add_signal_handler(signum, self._asked.set)
        try:
            yield
        finally:
            for signum in _SIGNALS:
                loop.remove_signal_handler(signum)

    async def _pause(self) -> None:
        """Until the files are due to be looked at: not all servers of a cluster at the same time."""
        interval, jitter = self.options.reload, self.options.reload_jitter
        try:
            async with asyncio.timeout(interval + random.uniform(-jitter, jitter) if interval > 0 else None):
                await self._asked.wait()
        except TimeoutError:
            pass
        self._asked.clear()

    def _fail(self, reason: Exception) -> None:
        """Count and say what is wrong, once for each wrong that is done."""
        failure = f"{_digest(self._base)} {reason}"
        if failure == self._failure:
            return
        self._failure = failure
        self.failures += 1
        _log.error("configuration not followed, staying as it was", reason=reason)


def read(base: DnsOptions) -> Configuration:
    """`base` and what its files say; raises CorefileError, ValueError and OSError for what cannot be followed."""
    options, remarks, digest = base, list[tuple[str, str]](), _digest(base)
    if base.corefile is not None:
        options = read_corefile(base.corefile, options, warn=lambda place, reason: remarks.append((place, reason)))
    if base.config_dir is not None:
        options = read_config_dir(base.config_dir, replace(options, reload=options.reload or _CONFIG_DIR_SECONDS))
    routes_of(options)
    make_responder(options, serial=0)
    return Configuration(options, digest, remarks)


def _digest(base: DnsOptions) -> str:
    """The SHA-512 of the Corefile, as CoreDNS has it; "" where there is none to be read."""
    try:
        return hashlib.sha512(base.corefile.read_bytes()).hexdigest() if base.corefile is not None else ""
    except OSError:
        return ""
