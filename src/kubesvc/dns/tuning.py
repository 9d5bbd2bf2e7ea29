"""How the cache and the upstreams are tuned, and the Corefile words that do it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class CacheTuning:
    """Times in seconds. What is None goes with the cache's own size and longest time."""

    denial_size: int | None = None
    denial_ttl: int | None = None
    failure_ttl: float = 5.0
    stale: float = 3600.0  # how long beyond its time an answer may be served; 0: never
    stale_at_once: bool = False  # serve it before rather than after the upstream was waited for
    popular: int = 3  # asked this often, an answer is fetched anew before it expires; 0: none is
    prefetch_share: float = 0.1  # in this last part of its time
    keep_ttl: bool = False  # do not count the TTLs of remembered answers down


@dataclass(frozen=True, slots=True)
class ForwardTuning:
    """How the upstreams of one zone are asked. Times in seconds."""

    max_fails: int = 2  # 0: an upstream is never taken out
    probe: float = 0.5
    probe_name: str = "."
    max_concurrent: int = 0  # questions under way at once, more are refused; 0: no bound of the zone's own
    excepted: tuple[str, ...] = ()  # names below these are not forwarded
    force_tcp: bool = False


CACHE_DEFAULTS = CacheTuning()
FORWARD_DEFAULTS = ForwardTuning()


def seconds(text: str) -> float:
    """`5s`, `1m`, `500ms`; `0` is zero. Raises ValueError."""
    unit = text.lstrip("0123456789.")
    number = text.removesuffix(unit)
    if text == "0":
        return 0.0
    if unit not in _UNITS or not number or number.count(".") > 1:
        raise ValueError(f"{text!r} is no duration, such as 5s")
    return float(number) * _UNITS[unit]


def tune_cache(tuning: CacheTuning, words: Sequence[str]) -> tuple[CacheTuning, str]:
    """`tuning` with one line of a `cache` block, and why that has no effect ("" when it has).

    Raises ValueError for a line that is not understood.
    """
    match words:
        case ["denial", size, *rest] if size.isdigit():
            ttl = int(rest[0]) if rest and rest[0].isdigit() else tuning.denial_ttl
            idle = "the shortest time is the answer's own" if rest[1:] else ""
            return replace(tuning, denial_size=int(size), denial_ttl=ttl), idle
        case ["prefetch", amount, *rest] if amount.isdigit():
            share = rest[-1].removesuffix("%") if rest and rest[-1].endswith("%") else ""
            part = int(share) / 100 if share.isdigit() else tuning.prefetch_share
            gaps = [word for word in rest if not word.endswith("%")]
            idle = "how far apart the questions came is not looked at" if gaps else ""
            return replace(tuning, popular=int(amount), prefetch_share=part), idle
        case ["serve_stale", *rest] if len(rest) <= 2:
            time = seconds(rest[0]) if rest else tuning.stale
            return replace(tuning, stale=time, stale_at_once=rest[1:] != ["verify"]), ""
        case ["servfail", time]:
            return replace(tuning, failure_ttl=min(seconds(time), 300.0)), ""
        case ["disable", "denial"] | ["disable", "denial", "."]:
            return replace(tuning, denial_size=0), ""
        case ["keepttl"]:
            return replace(tuning, keep_ttl=True), ""
    raise ValueError(f"{' '.join(words)!r} in a cache block is not understood")


def tune_forward(tuning: ForwardTuning, words: Sequence[str]) -> tuple[ForwardTuning, str]:
    """`tuning` with one line of a `forward` block, and why that has no effect ("" when it has).

    Raises ValueError for a line that is not understood.
    """
    match words:
        case ["max_concurrent", number] if number.isdigit():
            return replace(tuning, max_concurrent=int(number)), ""
        case ["max_fails", number] if number.isdigit():
            return replace(tuning, max_fails=int(number)), ""
        case ["health_check", time]:
            return replace(tuning, probe=seconds(time) or tuning.probe), ""
        case ["health_check", time, "domain", name]:
            return replace(tuning, probe=seconds(time) or tuning.probe, probe_name=name), ""
        case ["health_check", time, "no_rec", *rest]:
            return tune_forward(tuning, ["health_check", time, *rest])[0], "probes always ask for recursion"
        case ["except", name, *more]:
            names = tuple(text.rstrip(".").lower() for text in (name, *more))
            return replace(tuning, excepted=(*tuning.excepted, *names)), ""
        case ["force_tcp"]:
            return replace(tuning, force_tcp=True), ""
        case ["prefer_udp"]:
            return tuning, ""  # as always
        case ["expire", time]:
            seconds(time)
            return tuning, "each question has a socket of its own, none is kept"
        case ["failover", *_]:
            return tuning, "SERVFAIL, REFUSED, NOTIMP and FORMERR always go on to the next upstream"
    raise ValueError(f"{' '.join(words)!r} in a forward block is not understood")
