"""When a dead role starts again."""

from kubesvc.cluster.restarts import RestartPolicy


def test_the_first_death_is_answered_at_once() -> None:
    assert RestartPolicy().delay(lived=0.1) == 0.0


def test_a_role_that_keeps_dying_waits_twice_as_long_each_time_up_to_ten_seconds() -> None:
    policy = RestartPolicy()
    delays = [policy.delay(lived=0.1) for _ in range(12)]
    assert delays[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == 10.0


def test_half_a_minute_alive_forgives_everything() -> None:
    policy = RestartPolicy()
    for _ in range(5):
        policy.delay(lived=0.1)
    assert policy.delay(lived=31.0) == 0.0
