"""Exponential back-off as a number; the waiting is the caller's."""

# Beyond, any delay is at its limit; and 2.0 ** 1024, which an hour of failing reaches, is no float any more.
_DOUBLINGS = 64


def backoff(failures: int, *, first: float, longest: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row: `first` after one, then doubled up to `longest`."""
    return min(first * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS), longest)
