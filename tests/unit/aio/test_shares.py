"""A burst for each, then one in a while."""

from kubesvc.aio.shares import Shares


def test_a_burst_is_had_at_once_and_then_one_in_a_while() -> None:
    shares = Shares[str](burst=3, refill_seconds=10)
    assert [shares.take("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert [shares.take("a", 10) for _ in range(2)] == [True, False]
    assert [shares.take("a", 10_000) for _ in range(4)] == [True, True, True, False]


def test_each_has_its_own_and_the_longest_untouched_is_forgotten() -> None:
    shares = Shares[str](burst=1, refill_seconds=10, most_keys=2)
    assert [shares.take(key, 0) for key in "aabb"] == [True, False, True, False]
    assert shares.take("c", 0)
    assert [shares.take(key, 0) for key in "cba"] == [False, False, True]
