"""Back-off: doubled from the first delay up to the longest, for however long something fails."""

import pytest

from kubesvc.aio.backoff import backoff


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.5), (1, 0.5), (2, 1.0), (5, 8.0), (6, 10.0), (1_000, 10.0), (1_000_000, 10.0)]
)
def test_delays_double_up_to_the_longest(failures: int, seconds: float) -> None:
    assert backoff(failures, first=0.5, longest=10.0) == seconds
