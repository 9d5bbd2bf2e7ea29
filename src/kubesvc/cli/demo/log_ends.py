"""What the logs of a cluster that did not come up say at their ends, for the demo, which then removes them."""

from pathlib import Path

_LINES = 5
_TAIL = 16 * 1024


def log_ends(folder: Path) -> list[str]:
    """The last lines of each log that has an error or a warning near its end; without any, of all logs."""
    ends = {file.stem: _end(file) for file in sorted(folder.glob("*.log"))}
    telling: dict[str, list[str]] = {}
    for level in ("level=error", "level=warning", ""):
        telling = telling or {name: end for name, end in ends.items() if any(level in line for line in end)}
    return [line for name, end in telling.items() for line in (f"The log of {name} ends:", *(f"  {e}" for e in end))]


def _end(file: Path) -> list[str]:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _TAIL))
        return stream.read().decode(errors="replace").splitlines()[-_LINES:]
