"""Ages in tables: the two or three figures upstream prints."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.apiserver.printers.age import age_since, human_duration

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (59, "59s"),
        (119, "119s"),
        (120, "2m"),
        (3 * MINUTE + 20, "3m20s"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 59, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (8 * HOUR + 59 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (48 * HOUR, "2d"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (8 * DAY + HOUR, "8d"),
        (2 * YEAR - 1, "729d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + DAY, "2y1d"),
        (8 * YEAR, "8y"),
        (9 * YEAR + 300 * DAY, "9y"),
    ],
)
def test_durations_have_two_or_three_figures(seconds: int, text: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == text


@given(st.integers(0, 20 * YEAR))
def test_every_duration_fits_into_a_column(seconds: int) -> None:
    assert 2 <= len(human_duration(timedelta(seconds=seconds))) <= 6


def test_an_unset_or_unreadable_time_has_no_age() -> None:
    now = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
    assert age_since(None, now) == "<unknown>"
    assert age_since("yesterday", now) == "<unknown>"
    assert age_since("2026-11-22T12:59:30Z", now) == "30s"
    assert age_since("2026-11-22T12:59:30.250000Z", now) == "29s"
