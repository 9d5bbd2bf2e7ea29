"""Names that are not ours: the cache, several upstreams with their health, one question at a time.

The defaults are CoreDNS's `forward`: random choice, two failures take an upstream out, a probe
every half second brings it back, two seconds to answer. When all are out, one is tried anyway.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.dns import wire
from kubesvc.dns.answers import Resolution
from kubesvc.dns.cache import Cache, Cached, Freshness, Question
from kubesvc.dns.connections import Connections
from kubesvc.dns.meter import DURATION_BUCKETS
from kubesvc.dns.metrics import ForwardCounts
from kubesvc.dns.nameservers import Upstream
from kubesvc.dns.tuning import FORWARD_DEFAULTS, ForwardTuning
from kubesvc.dns.upstream import UpstreamFailed, exchange
from kubesvc.dns.wire import Rcode, Type
from kubesvc.observe import log

_log = log("dns.forward")
ANSWER_SECONDS = 2.0
# An upstream that has said nothing for this long gets company.
HEDGE_SECONDS = 0.3
# A client waits this long for a fresh answer where a stale one could be had (RFC 8767, section 5).
STALE_PATIENCE = 1.0
_ERRORS = frozenset((Rcode.SERVFAIL, Rcode.REFUSED, Rcode.NOTIMP, Rcode.FORMERR))

Exchange = Callable[..., Awaitable[Resolution]]


class Health:
    """One upstream and how it has been doing."""

    def __init__(self, upstream: Upstream, *, max_fails: int = 2) -> None:
        self.upstream = upstream
        self._max_fails = max_fails
        self.failures = 0

    @property
    def is_up(self) -> bool:
        return not self._max_fails or self.failures < self._max_fails


class Forwarding:
    """Resolves foreign names through `upstreams`, remembering what they say."""

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        cache: Cache,
        *,
        policy: str = "random",
        tuning: ForwardTuning = FORWARD_DEFAULTS,
        stale_patience: float = STALE_PATIENCE,
        ask: Exchange = exchange,
        clock: Clock | None = None,
        hedge_seconds: float = HEDGE_SECONDS,
    ) -> None:
        self._clock = clock or SystemClock()
        self._hedge_seconds = hedge_seconds
        self._health = [Health(upstream, max_fails=tuning.max_fails) for upstream in upstreams]
        self._tuning = tuning
        self._excepted = [wire.name_from_text(zone) for zone in tuning.excepted]
        self._failover = frozenset(tuning.failover)
        self._connections = Connections(expire=tuning.expire, most_idle=tuning.max_idle, clock=self._clock)
        self._stale_patience = stale_patience
        self._cache = cache
        self._policy = policy
        self._ask = ask
        self._turn = 0
        self._asking: dict[Question, asyncio.Task[Resolution]] = {}
        # Asked once at the start: whoever hears it from outside has been made its own upstream.
        self._probe_name = wire.name_from_text(f"{secrets.token_hex(8)}.{secrets.token_hex(8)}.loop")
        self._loops = False
        self._counts = ForwardCounts(durations=[0] * (len(DURATION_BUCKETS) + 1))

    async def resolve(self, name: bytes, qtype: int, *, dnssec_ok: bool = False) -> Resolution:
        """An answer from the cache or an upstream; stale or SERVFAIL when there is none to be had."""
        if name == self._probe_name:
            self._loops = True
            _log.error("an upstream leads back to this server; foreign names are not answered")
        if self._loops:
            return Resolution(Rcode.SERVFAIL)
        question = (name, qtype, dnssec_ok)
        cached = self._look_up(question)
        if cached.freshness is Freshness.EXPIRING:
            self._fetch(question)
        if cached.resolution is not None and cached.freshness is not Freshness.STALE:
            return cached.resolution
        if self._is_full(question):
            self._counts.rejects += 1
            return cached.resolution or Resolution(Rcode.REFUSED)
        fetching = self._fetch(question)
        if cached.resolution is None:
            return await asyncio.shield(fetching)
        if self._stale_patience > 0:
            await asyncio.wait([fetching], timeout=self._stale_patience)
        if fetching.done() and fetching.result().rcode != Rcode.SERVFAIL:
            return fetching.result()
        self._counts.served_stale += 1
        return cached.resolution

    def _is_full(self, question: Question) -> bool:
        limit = self._tuning.max_concurrent
        return bool(limit) and len(self._asking) >= limit and question not in self._asking

    async def run(self) -> None:
        """Probe upstreams that are out until they are back; never returns."""
        await asyncio.gather(*(self._probe(health, self._probe_name, Type.HINFO) for health in self._health))
        name = wire.name_from_text(self._tuning.probe_name)
        while True:
            await asyncio.sleep(self._tuning.probe)
            self._connections.purge()
            down = [health for health in self._health if not health.is_up]
            recursive = self._tuning.probe_recursive
            await asyncio.gather(*(self._probe(health, name, Type.NS, recursive=recursive) for health in down))

    def is_excepted(self, name: bytes) -> bool:
        """Whether these upstreams are not to be asked about `name`."""
        return any(wire.is_within(name, zone) for zone in self._excepted)

    async def finish(self) -> None:
        """Wait for what is being asked; nothing new may be asked any more."""
        while self._asking:
            await asyncio.wait(list(self._asking.values()))
        self._connections.close()

    async def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        self._connections.close()

    def counts(self) -> ForwardCounts:
        self._counts.cache_entries = len(self._cache)
        self._counts.evictions = self._cache.evictions
        return self._counts

    def _look_up(self, question: Question) -> Cached:
        cached = self._cache.get(question, self._clock.monotonic())
        if cached.freshness in (Freshness.FRESH, Freshness.EXPIRING):
            self._counts.cache_hits += 1
        else:
            self._counts.cache_misses += 1
        return cached

    def _fetch(self, question: Question) -> "asyncio.Task[Resolution]":
        """Ask, unless the same question is being asked already."""
        task = self._asking.get(question)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask_upstreams(question), name="upstream")
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        return task

    async def _ask_upstreams(self, question: Question) -> Resolution:
        """Ask one upstream, and another as soon as it fails or beside it when it takes its time."""
        waiting: dict[asyncio.Task[Resolution], Health] = {}
        left = self._candidates()
        failed = Resolution(Rcode.SERVFAIL)
        try:
            while left or waiting:
                if left:
                    health = left.pop(0)
                    task = asyncio.get_running_loop().create_task(self._ask_one(health, question), name="exchange")
                    waiting[task] = health
                patience = self._hedge_seconds if left else None
                done, _ = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del waiting[task]
                    resolution = _result_of(task)
                    if resolution is not None and resolution.rcode not in self._failover:
                        return self._cache.put(question, resolution, self._clock.monotonic())
                    failed = _last_word(resolution) or failed
            return self._cache.put(question, failed, self._clock.monotonic())
        finally:
            for task, health in waiting.items():
                if task.cancel():
                    # Overtaken by one that was asked later: as good as no answer.
                    health.failures += 1
                else:  # done in the same turn, and a failure counted already
                    _result_of(task)

    async def _ask_one(self, health: Health, question: Question, *, recursive: bool = True) -> Resolution:
        name, qtype, dnssec_ok = question
        before = self._clock.monotonic()
        try:
            resolution = await self._ask(
                health.upstream, name, qtype,
                dnssec_ok=dnssec_ok, timeout=ANSWER_SECONDS, by_tcp=self._tuning.force_tcp, recursive=recursive,
                connections=self._connections,
            )  # fmt: skip
        except UpstreamFailed:
            health.failures += 1
            if health.failures == self._tuning.max_fails:
                _log.warning("upstream is out", upstream=health.upstream)
            raise
        if not health.is_up:
            _log.info("upstream is back", upstream=health.upstream)
        health.failures = 0
        self._measure(self._clock.monotonic() - before)
        return resolution

    def _candidates(self) -> list[Health]:
        """Who is asked, in order: those that are up by policy; when none is, anyone, or no one."""
        up = [health for health in self._health if health.is_up]
        if not up:
            self._counts.health_broken += 1
            if self._tuning.give_up:
                return []
            up = list(self._health)
        if self._policy == "random":
            random.shuffle(up)
        elif self._policy == "round_robin":
            self._turn += 1
            at = self._turn % len(up)
            up = up[at:] + up[:at]
        return (up if len(up) > 1 else up * 2)[: self._tuning.tries]

    async def _probe(self, health: Health, name: bytes, qtype: int, *, recursive: bool = True) -> None:
        try:
            await self._ask_one(health, (name, qtype, False), recursive=recursive)
        except UpstreamFailed as err:
            _log.debug("probe failed", reason=err)

    def _measure(self, seconds: float) -> None:
        bucket = next((n for n, edge in enumerate(DURATION_BUCKETS) if seconds <= edge), len(DURATION_BUCKETS))
        self._counts.durations[bucket] += 1
        self._counts.seconds += seconds


def _result_of(task: "asyncio.Task[Resolution]") -> Resolution | None:
    """What a finished exchange brought; None for nothing."""
    try:
        return task.result()
    except UpstreamFailed as err:
        _log.debug("upstream failed", reason=err)
        return None


def _last_word(resolution: Resolution | None) -> Resolution | None:
    """What is left of an answer that another upstream was to better: of an error, only its code."""
    if resolution is None or resolution.rcode not in _ERRORS:
        return resolution
    return Resolution(resolution.rcode)
