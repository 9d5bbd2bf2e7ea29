"""How long the answers of upstreams are kept: RFC 2181, 2308 and 8767."""

from kubesvc.dns import records, wire
from kubesvc.dns.answers import Resolution
from kubesvc.dns.cache import Cache, Freshness
from kubesvc.dns.records import Record
from kubesvc.dns.tuning import CACHE_DEFAULTS, CacheTuning
from kubesvc.dns.wire import Rcode, Type

NAME = wire.name_from_text("example.com")
QUESTION = (NAME, int(Type.A), False)
SOA = records.soa(wire.name_from_text("com"), 900, primary=NAME, serial=1)


def address(ttl: int, last: int = 1) -> Record:
    return records.address(NAME, ttl, bytes((192, 0, 2, last)))


def positive(ttl: int) -> Resolution:
    return Resolution(Rcode.NOERROR, (address(ttl),))


def test_an_answer_is_fresh_until_its_ttl_and_counts_down() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, positive(60), 100.0)
    assert cache.get(QUESTION, 130.0) == (Freshness.FRESH, positive(30))
    assert cache.get(QUESTION, 160.0).freshness is Freshness.STALE


def test_the_shortest_ttl_of_a_chain_counts() -> None:
    cache = Cache(size=10)
    alias = Record(NAME, Type.CNAME, 5, wire.name_from_text("www.example.com"))
    cache.put(QUESTION, Resolution(Rcode.NOERROR, (alias, address(300))), 0.0)
    assert cache.get(QUESTION, 4.9).freshness is Freshness.FRESH
    assert cache.get(QUESTION, 5.0).freshness is Freshness.STALE


def test_no_answer_is_kept_for_more_than_an_hour() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, positive(1_000_000), 0.0)
    assert cache.get(QUESTION, 3600.0).freshness is Freshness.STALE


def test_a_denial_is_kept_as_its_soa_says() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, Resolution(Rcode.NXDOMAIN, (), (SOA,)), 0.0)
    assert cache.get(QUESTION, 899.0).freshness is Freshness.FRESH
    assert cache.get(QUESTION, 900.0).freshness is Freshness.STALE


def test_a_denial_without_soa_is_not_kept() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, Resolution(Rcode.NXDOMAIN), 0.0)
    cache.put(QUESTION, Resolution(Rcode.NOERROR), 0.0)
    assert cache.get(QUESTION, 0.0).freshness is Freshness.MISS


def test_a_failure_is_kept_for_five_seconds_and_never_stale() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, Resolution(Rcode.SERVFAIL), 0.0)
    assert cache.get(QUESTION, 4.0).freshness is Freshness.FRESH
    assert cache.get(QUESTION, 5.0).freshness is Freshness.MISS


def test_a_failure_does_not_push_out_what_can_be_served_stale() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, positive(5), 0.0)
    cache.put(QUESTION, Resolution(Rcode.SERVFAIL), 6.0)
    cached = cache.get(QUESTION, 7.0)
    assert cached.freshness is Freshness.STALE
    assert cached.resolution is not None
    assert cached.resolution.answers[0].ttl == 30


def test_stale_ends() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, positive(5), 0.0)
    assert cache.get(QUESTION, 5.0 + CACHE_DEFAULTS.stale).freshness is Freshness.MISS


def test_what_is_asked_often_is_fetched_anew_before_it_expires() -> None:
    cache = Cache(size=10)
    cache.put(QUESTION, positive(100), 0.0)
    assert [cache.get(QUESTION, t).freshness for t in (1, 95, 96)] == [
        Freshness.FRESH,
        Freshness.FRESH,
        Freshness.EXPIRING,
    ]


def test_the_least_recently_asked_goes_first() -> None:
    cache = Cache(size=2)
    questions = [(wire.name_from_text(f"{n}.com"), 1, False) for n in range(3)]
    cache.put(questions[0], positive(60), 0.0)
    cache.put(questions[1], positive(60), 0.0)
    cache.get(questions[0], 1.0)
    cache.put(questions[2], positive(60), 2.0)
    assert len(cache) == 2
    assert cache.get(questions[1], 3.0).freshness is Freshness.MISS
    assert cache.evictions == 1


def test_size_zero_keeps_nothing() -> None:
    cache = Cache(size=0)
    cache.put(QUESTION, positive(60), 0.0)
    assert len(cache) == 0


def test_denials_have_a_shelf_and_a_longest_time_of_their_own() -> None:
    cache = Cache(size=10, tuning=CacheTuning(denial_size=1, denial_ttl=30, stale=0))
    cache.put(QUESTION, positive(60), 0.0)
    for n in range(3):
        cache.put((wire.name_from_text(f"{n}.com"), 1, False), Resolution(Rcode.NXDOMAIN, (), (SOA,)), 0.0)
    assert len(cache) == 2
    denied = (wire.name_from_text("2.com"), 1, False)
    assert [cache.get(denied, t).freshness for t in (29.0, 30.0)] == [Freshness.FRESH, Freshness.MISS]
    assert cache.get(QUESTION, 59.0).freshness is Freshness.FRESH
    cache.put(QUESTION, Resolution(Rcode.NXDOMAIN, (), (SOA,)), 60.0)
    assert len(cache) == 1


def test_prefetch_and_counting_down_can_be_switched_off() -> None:
    cache = Cache(size=10, tuning=CacheTuning(popular=0, keep_ttl=True))
    cache.put(QUESTION, positive(100), 0.0)
    assert [cache.get(QUESTION, t) for t in (1, 2, 99)] == [(Freshness.FRESH, positive(100))] * 3
