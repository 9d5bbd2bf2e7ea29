"""How long the answers of upstreams are kept: RFC 2181, 2308 and 8767."""

from kubesvc.dns import records, wire
from kubesvc.dns.answers import Resolution
from kubesvc.dns.cache import Cache, Freshness
from kubesvc.dns.records import Record
from kubesvc.dns.tuning import CACHE_DEFAULTS, NO_CACHE, CacheTuning
from kubesvc.dns.wire import Rcode, Type

NAME = wire.name_from_text("example.com")
QUESTION = (NAME, int(Type.A), False)
SOA = records.soa(wire.name_from_text("com"), 900, primary=NAME, serial=1)


def address(ttl: int, last: int = 1) -> Record:
    return records.address(NAME, ttl, bytes((192, 0, 2, last)))


def positive(ttl: int) -> Resolution:
    return Resolution(Rcode.NOERROR, (address(ttl),))


def test_an_answer_is_fresh_until_its_ttl_and_counts_down() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, positive(60), 100.0)
    assert cache.get(QUESTION, 130.0) == (Freshness.FRESH, positive(30))
    assert cache.get(QUESTION, 160.0).freshness is Freshness.STALE


def test_the_shortest_ttl_of_a_chain_counts() -> None:
    cache = Cache(CacheTuning(size=10))
    alias = Record(NAME, Type.CNAME, 5, wire.name_from_text("www.example.com"))
    cache.put(QUESTION, Resolution(Rcode.NOERROR, (alias, address(300))), 0.0)
    assert cache.get(QUESTION, 4.9).freshness is Freshness.FRESH
    assert cache.get(QUESTION, 5.0).freshness is Freshness.STALE


def test_no_answer_is_kept_for_more_than_an_hour() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, positive(1_000_000), 0.0)
    assert cache.get(QUESTION, 3600.0).freshness is Freshness.STALE


def test_a_denial_is_kept_as_its_soa_says() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, Resolution(Rcode.NXDOMAIN, (), (SOA,)), 0.0)
    assert cache.get(QUESTION, 899.0).freshness is Freshness.FRESH
    assert cache.get(QUESTION, 900.0).freshness is Freshness.STALE


def test_a_denial_without_soa_is_not_kept() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, Resolution(Rcode.NXDOMAIN), 0.0)
    cache.put(QUESTION, Resolution(Rcode.NOERROR), 0.0)
    assert cache.get(QUESTION, 0.0).freshness is Freshness.MISS


def test_a_failure_is_kept_for_five_seconds_and_never_stale() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, Resolution(Rcode.SERVFAIL), 0.0)
    assert cache.get(QUESTION, 4.0).freshness is Freshness.FRESH
    assert cache.get(QUESTION, 5.0).freshness is Freshness.MISS


def test_a_failure_does_not_push_out_what_can_be_served_stale() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, positive(5), 0.0)
    cache.put(QUESTION, Resolution(Rcode.SERVFAIL), 6.0)
    cached = cache.get(QUESTION, 7.0)
    assert cached.freshness is Freshness.STALE
    assert cached.resolution is not None
    assert cached.resolution.answers[0].ttl == 30


def test_stale_ends() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, positive(5), 0.0)
    assert cache.get(QUESTION, 5.0 + CACHE_DEFAULTS.stale).freshness is Freshness.MISS


def test_what_is_asked_often_is_fetched_anew_before_it_expires() -> None:
    cache = Cache(CacheTuning(size=10))
    cache.put(QUESTION, positive(100), 0.0)
    assert [cache.get(QUESTION, t).freshness for t in (94, 95, 96)] == [
        Freshness.FRESH,
        Freshness.FRESH,
        Freshness.EXPIRING,
    ]


def test_the_least_recently_asked_goes_first() -> None:
    cache = Cache(CacheTuning(size=2))
    questions = [(wire.name_from_text(f"{n}.com"), 1, False) for n in range(3)]
    cache.put(questions[0], positive(60), 0.0)
    cache.put(questions[1], positive(60), 0.0)
    cache.get(questions[0], 1.0)
    cache.put(questions[2], positive(60), 2.0)
    assert len(cache) == 2
    assert cache.get(questions[1], 3.0).freshness is Freshness.MISS
    assert cache.evictions == 1


def test_size_zero_keeps_nothing() -> None:
    cache = Cache(NO_CACHE)
    cache.put(QUESTION, positive(60), 0.0)
    assert len(cache) == 0


def test_denials_have_a_shelf_and_a_longest_time_of_their_own() -> None:
    cache = Cache(CacheTuning(size=10, denial_size=1, denial_ttl=30, stale=0))
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
    cache = Cache(CacheTuning(size=10, popular=0, keep_ttl=True))
    cache.put(QUESTION, positive(100), 0.0)
    assert [cache.get(QUESTION, t) for t in (1, 2, 99)] == [(Freshness.FRESH, positive(100))] * 3


def test_answers_and_denials_are_kept_for_the_shortest_time_at_least_and_say_so() -> None:
    cache = Cache(CacheTuning(least=30, denial_least=20, stale=0))
    assert cache.put(QUESTION, positive(1), 0.0) == positive(30)
    assert cache.get(QUESTION, 29.0) == (Freshness.FRESH, positive(1))
    assert cache.get(QUESTION, 30.0).freshness is Freshness.MISS
    brief = SOA._replace(ttl=2)
    kept = cache.put(QUESTION, Resolution(Rcode.NXDOMAIN, (), (brief,)), 30.0)
    assert kept.authority[0].ttl == 20
    assert [cache.get(QUESTION, t).freshness for t in (49.0, 50.0)] == [Freshness.FRESH, Freshness.MISS]


def test_no_client_is_told_to_remember_longer_than_we_do() -> None:
    cache = Cache(CacheTuning(ttl=30))
    assert cache.put(QUESTION, positive(300), 0.0) == positive(30)
    assert cache.get(QUESTION, 10.0) == (Freshness.FRESH, positive(20))


def test_popularity_ends_with_a_gap_and_outlives_a_fetch() -> None:
    cache = Cache(CacheTuning(popular=3, gap=10.0, prefetch_share=0.5))
    cache.put(QUESTION, positive(100), 0.0)
    seen = [cache.get(QUESTION, t).freshness for t in (1, 2, 60, 61, 62)]
    assert seen == [Freshness.FRESH] * 4 + [Freshness.EXPIRING]
    cache.put(QUESTION, positive(4), 63.0)
    assert cache.get(QUESTION, 66.0).freshness is Freshness.EXPIRING


def test_the_last_second_is_always_the_time_to_fetch_anew() -> None:
    cache = Cache(CacheTuning(popular=1))
    cache.put(QUESTION, positive(2), 0.0)
    assert [cache.get(QUESTION, t).freshness for t in (0.5, 1.5)] == [Freshness.FRESH, Freshness.EXPIRING]


def test_zones_can_be_left_out_for_answers_denials_or_both() -> None:
    inner, other = (wire.name_from_text(name) for name in ("a.example.com", "a.example.org"))
    denied = Resolution(Rcode.NXDOMAIN, (), (SOA,))

    def kept(tuning: CacheTuning, name: bytes, resolution: Resolution) -> bool:
        cache = Cache(tuning)
        cache.put((name, int(Type.A), False), resolution, 0.0)
        return len(cache) == 1

    no_answers = CacheTuning(unkept=("example.com",))
    assert [kept(no_answers, *pair) for pair in ((inner, positive(9)), (inner, denied), (other, positive(9)))] == [
        False, True, True,
    ]  # fmt: skip
    no_denials = CacheTuning(denial_unkept=("example.com",))
    assert [kept(no_denials, *pair) for pair in ((inner, positive(9)), (inner, denied), (other, denied))] == [
        True, False, True,
    ]  # fmt: skip
    assert [kept(CacheTuning(zones=("example.com",)), name, positive(9)) for name in (inner, other)] == [True, False]
