"""How long ago, in the two or three figures people read: `119s`, `3m20s`, `5h10m`, `12d`."""

from datetime import datetime, timedelta

from kubesvc.api.times import parse_time

UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400

# Up to how many seconds which two units are shown; the second only where it is not zero.
_STEPS: tuple[tuple[int, int, str, int, str], ...] = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def human_duration(duration: timedelta) -> str:
    """The duration as upstream prints it; clocks may disagree by a second, beyond that it is `<invalid>`."""
    seconds = int(duration.total_seconds())
    if seconds < 0:
        return "<invalid>" if seconds < -1 else "0s"
    for limit, unit, letter, second_unit, second_letter in _STEPS:
        if seconds < limit:
            rest = seconds % unit // second_unit if second_unit else 0
            return f"{seconds // unit}{letter}" + (f"{rest}{second_letter}" if rest else "")
    return f"{seconds // _YEAR}y"


def time_of(text: str | None) -> datetime | None:
    """The moment of an RFC 3339 timestamp; None for none, or for what is no timestamp."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def age_since(text: str | None, now: datetime) -> str:
    """The age of a timestamp, `<unknown>` without one."""
    then = time_of(text)
    return UNKNOWN if then is None else human_duration(now - then)
