"""Moments as the API writes them: RFC 3339, `metav1.Time` in whole seconds, `metav1.MicroTime` in microseconds."""

from datetime import UTC, datetime


def time_text(moment: datetime) -> str:
    """A `metav1.Time` in UTC, as in `2026-01-02T03:04:05Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time_text(moment: datetime) -> str:
    """A `metav1.MicroTime` in UTC, as in `2026-01-02T03:04:05.000006Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """An RFC 3339 time such as `2026-11-22T13:00:00.5+01:00`, in UTC; finer than microseconds is cut.

    Raises ValueError, also where the time zone is missing.
    """
    head, dot, tail = text.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as err:
        raise ValueError(f"{text!r} is no moment of the years 1 to 9999 in UTC") from err
