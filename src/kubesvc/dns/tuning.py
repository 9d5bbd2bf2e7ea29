"""How the cache and the upstreams are tuned, and the Corefile words that do it.

The words are CoreDNS's `cache` and `forward`; what they say counts, and what they leave open is as our
defaults have it. A word that could not be kept is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network

from kubesvc.dns.wire import Rcode, name_from_text

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_FAILURE = 300.0
_LONGEST = 10 * 365 * 86400.0
# As many seconds as a TTL can say (RFC 2181, section 8).
_MOST = 2**31 - 1
_ROOT = (".",)
POLICIES = ("random", "round_robin", "sequential")


@dataclass(frozen=True, slots=True)
class CacheTuning:
    """Answers and denials are kept apart. Times in seconds; what is None goes with the answers' own."""

    size: int = 9984  # 0: none is kept
    ttl: int = 3600  # the longest that one is kept
    least: int = 0  # the shortest
    denial_size: int | None = None
    denial_ttl: int | None = None
    denial_least: int = 0
    failure_ttl: float = 5.0
    stale: float = 3600.0  # how long beyond its time an answer may be served; 0: never
    stale_at_once: bool = False  # serve it before rather than after the upstream was waited for
    popular: int = 3  # asked this often, an answer is fetched anew before it expires; 0: none is
    gap: float = 60.0  # unless this long passes without a question
    prefetch_share: float = 0.1  # in this last part of its time
    keep_ttl: bool = False  # do not count the TTLs of remembered answers down
    zones: tuple[str, ...] = _ROOT  # names below these are remembered,
    unkept: tuple[str, ...] = ()  # but not the answers to those below these,
    denial_unkept: tuple[str, ...] = ()  # nor their denials


@dataclass(frozen=True, slots=True)
class ForwardTuning:
    """How the upstreams of one zone are asked. Times in seconds."""

    policy: str = ""  # which is asked first; "" as for all zones
    max_fails: int = 2  # 0: an upstream is never taken out
    probe: float = 0.5
    probe_name: str = "."
    probe_recursive: bool = True
    max_concurrent: int = 0  # questions under way at once, more are refused; 0: no bound of the zone's own
    tries: int = 3  # how many upstreams are asked the same question
    failover: tuple[int, ...] = (Rcode.SERVFAIL, Rcode.REFUSED, Rcode.NOTIMP, Rcode.FORMERR)  # ask the next
    give_up: bool = False  # with every upstream out, do not try one anyway
    excepted: tuple[str, ...] = ()  # names below these are not forwarded
    force_tcp: bool = False
    expire: float = 10.0  # a TCP connection is kept this long after its last answer,
    max_idle: int = 0  # but no more than this many; 0: any number


CACHE_DEFAULTS = CacheTuning()
FORWARD_DEFAULTS = ForwardTuning()
NO_CACHE = CacheTuning(size=0)


def seconds(text: str) -> float:
    """`5s`, `1m`, `500ms`, `1m30s`; `0` is zero. Raises ValueError."""
    total, rest = 0.0, text
    while rest and rest != "0":
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        unit = rest[len(number) :][: 2 if rest[len(number) :].startswith("ms") else 1]
        if unit not in _UNITS or number.count(".") > 1 or not number.strip("."):
            raise ValueError(f"{text!r} is no duration, such as 5s")
        total += float(number) * _UNITS[unit]
        rest = rest[len(number) + len(unit) :]
    if not text:
        raise ValueError("a duration, such as 5s, is expected")
    if total > _LONGEST:
        raise ValueError(f"{text[:20]!r} is longer than ten years")
    return total


def whole(text: str) -> int:
    """A number from 0 to what a TTL can say. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no number")
    if len(text) > len(str(_MOST)) or int(text) > _MOST:
        raise ValueError(f"{text[:20]} is more than {_MOST}")
    return int(text)


def tune_cache(tuning: CacheTuning, words: Sequence[str]) -> CacheTuning:
    """`tuning` with one line of a `cache` block. Raises ValueError for a line that cannot be kept."""
    match words:
        case ["success", size, *times] if len(times) <= 2:
            ttl, least = _times(times, tuning.ttl, tuning.least)
            return replace(tuning, size=whole(size), ttl=ttl or tuning.ttl, least=least)
        case ["denial", size, *times] if len(times) <= 2:
            ttl, least = _times(times, tuning.denial_ttl, tuning.denial_least)
            return replace(tuning, denial_size=whole(size), denial_ttl=ttl, denial_least=least)
        case ["prefetch", amount, *rest] if len(rest) <= 2:
            gap = seconds(rest[0]) if rest else tuning.gap
            share = _share(rest[1]) if rest[1:] else tuning.prefetch_share
            return replace(tuning, popular=whole(amount), gap=gap, prefetch_share=share)
        case ["serve_stale", *rest] if rest[1:] in ([], ["immediate"], ["verify"]):
            time = seconds(rest[0]) if rest else CACHE_DEFAULTS.stale
            return replace(tuning, stale=time, stale_at_once=rest[1:] != ["verify"])
        case ["servfail", time]:
            if seconds(time) > _LONGEST_FAILURE:
                raise ValueError(f"{time}: failures are remembered for 5m at most")
            return replace(tuning, failure_ttl=seconds(time))
        case ["disable", "success", *zones]:
            return replace(tuning, unkept=(*tuning.unkept, *(_zones(zones) or _ROOT)))
        case ["disable", "denial", *zones]:
            return replace(tuning, denial_unkept=(*tuning.denial_unkept, *(_zones(zones) or _ROOT)))
        case ["keepttl"]:
            return replace(tuning, keep_ttl=True)
    raise ValueError(f"{' '.join(words)!r} in a cache block is not understood")


def tune_forward(tuning: ForwardTuning, words: Sequence[str]) -> ForwardTuning:
    """`tuning` with one line of a `forward` block. Raises ValueError for a line that cannot be kept."""
    match words:
        case ["policy", policy] if policy in POLICIES:
            return replace(tuning, policy=policy)
        case ["max_concurrent", number]:
            return replace(tuning, max_concurrent=whole(number))
        case ["max_fails", number]:
            return replace(tuning, max_fails=whole(number))
        case ["max_connect_attempts", number]:
            return replace(tuning, tries=whole(number) or FORWARD_DEFAULTS.tries)
        case ["health_check", time, *rest]:
            return _tune_probe(replace(tuning, probe=seconds(time) or tuning.probe), rest)
        case ["except", name, *more]:
            return replace(tuning, excepted=(*tuning.excepted, *_zones((name, *more))))
        case ["failover", rcode, *more]:
            return replace(tuning, failover=tuple(_rcode(text) for text in (rcode, *more)))
        case ["failfast_all_unhealthy_upstreams"]:
            return replace(tuning, give_up=True)
    return _tune_transport(tuning, words)


def _tune_transport(tuning: ForwardTuning, words: Sequence[str]) -> ForwardTuning:
    match words:
        case ["prefer_udp"]:
            return tuning  # as always, unless TCP is forced
        case ["force_tcp"]:
            return replace(tuning, force_tcp=True)
        case ["expire", time]:
            return replace(tuning, expire=seconds(time))
        case ["max_idle_conns", number]:
            return replace(tuning, max_idle=whole(number))
    raise ValueError(f"{' '.join(words)!r} in a forward block is not understood")


def _tune_probe(tuning: ForwardTuning, words: Sequence[str]) -> ForwardTuning:
    match words:
        case []:
            return tuning
        case ["no_rec", *rest]:
            return _tune_probe(replace(tuning, probe_recursive=False), rest)
        case ["domain", name, *rest]:
            return _tune_probe(replace(tuning, probe_name=zone(name)), rest)
    raise ValueError(f"{words[0]!r} in a health check is not understood")


def _times(texts: Sequence[str], most: int | None, least: int) -> tuple[int | None, int]:
    """The longest and the shortest time, where they are given."""
    if texts and not whole(texts[0]):
        raise ValueError("the longest time cannot be 0")
    return whole(texts[0]) if texts else most, whole(texts[1]) if texts[1:] else least


def _share(text: str) -> float:
    digits = text.removesuffix("%")
    if digits == text or not digits.isdigit() or not 10 <= int(digits) <= 90:
        raise ValueError(f"{text!r} is no share between 10% and 90%")
    return int(digits) / 100


def _rcode(text: str) -> int:
    if text.upper() not in Rcode.__members__ or text.upper() == "NOERROR":
        raise ValueError(f"{text!r} is no response code to turn away from")
    return int(Rcode[text.upper()])


def _zones(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(zone(text) for text in texts)


def zone(text: str) -> str:
    """A zone's name as options hold it: lower-case, without the closing dot; a network's is its reverse zone.

    Raises ValueError.
    """
    if "/" in text:
        network = ip_network(text)
        width = 8 if network.version == 4 else 4
        if network.prefixlen % width:
            raise ValueError(f"{text}: a network whose length is a multiple of {width} is expected")
        unset = (network.max_prefixlen - network.prefixlen) // width
        return network.network_address.reverse_pointer.split(".", unset)[unset]
    name_from_text(text)
    return text.rstrip(".").lower() or "."
