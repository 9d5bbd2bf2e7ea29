"""What a person sees: lines on stderr, colour and a spinner only on a terminal, tables as kubectl prints them."""

import os
import sys
import time
from collections.abc import Iterable, Sequence

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_SECONDS = 0.08
_CLEAR = "\r\033[K"

_quiet = False


def set_quiet(*, quiet: bool) -> None:
    """Say nothing but errors from now on."""
    global _quiet
    _quiet = quiet


def colours() -> bool:
    """Whether stderr is a terminal that wants colour."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, code: str) -> str:
    """`text` in an SGR colour, when colours are wanted."""
    return f"\033[{code}m{text}\033[0m" if colours() else text


def say(text: str) -> None:
    """One line for a person."""
    if not _quiet:
        print(text, file=sys.stderr, flush=True)


def say_error(message: str, hint: str = "") -> None:
    """The two lines of a refusal; these are said even when quiet."""
    sys.stdout.flush()
    print(f"{paint('error:', '31;1')} {message}", file=sys.stderr)
    if hint:
        print(f"{paint('hint:', '36')}  {hint}", file=sys.stderr, flush=True)


class Progress:
    """Stages of something that takes a moment: a spinner on a terminal, a plain line each elsewhere."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._doing = ""
        self._last_frame = 0.0
        self._frame = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def doing(self, what: str) -> None:
        """Name what is waited for now."""
        self._doing = what
        self.tick()

    def tick(self) -> None:
        """Turn the spinner; call it as often as you like."""
        now = time.monotonic()
        if _quiet or not colours() or now - self._last_frame < _FRAME_SECONDS:
            return
        self._last_frame = now
        self._frame += 1
        print(f"{_CLEAR}{_FRAMES[self._frame % len(_FRAMES)]} {self._doing}", end="", file=sys.stderr, flush=True)

    def done(self, what: str, detail: str = "") -> None:
        """Report a stage as reached."""
        self.clear()
        mark = paint("✓", "32") if colours() else "-"
        say(f"{mark} {what:<9} {detail:<44} {self.seconds:6.2f} s")

    def clear(self) -> None:
        """Take the spinner off the line."""
        if not _quiet and colours():
            print(_CLEAR, end="", file=sys.stderr, flush=True)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Columns as kubectl prints them: upper-case headers are the caller's, three spaces between."""
    lines = [[str(cell) for cell in row] for row in rows]
    if not lines:
        return ""
    widths = [max(len(row[i]) for row in lines if i < len(row)) for i in range(max(map(len, lines)))]
    return "\n".join("   ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip() for row in lines)
