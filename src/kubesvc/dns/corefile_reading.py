"""The state of reading a Corefile: the options so far, and what is refused or remarked on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kubesvc.dns.corefile_lines import CorefileError, Line
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.tuning import NO_CACHE, CacheTuning

# Told of each line that has no effect: where it stands (file, line, directive), and why.
Warn = Callable[[str, str], None]


@dataclass(slots=True)
class Reading:
    """The options so far, and what the server block at hand has said."""

    options: DnsOptions
    warn: Warn | None = None
    stubs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    forwarded: list[str] = field(default_factory=list)  # zones, of all blocks
    has_kubernetes: bool = False
    zone: str = "."
    cache: CacheTuning = NO_CACHE
    _forwarded_before: int = 0

    def begin_block(self, zone: str) -> None:
        self.zone, self.cache, self._forwarded_before = zone, NO_CACHE, len(self.forwarded)

    def end_block(self) -> None:
        """A block's cache is for what the block forwards, whichever of the two stood first."""
        zones = self.forwarded[self._forwarded_before :]
        self.set(caches=(*self.options.caches, *((zone, self.cache) for zone in zones)))
        if self.zone == ".":
            self.set(cache=self.cache)

    def refuse(self, line: Line, reason: str) -> CorefileError:
        return CorefileError(f"{line.file}:{line.number}: {line.name}: {reason}")

    def remark(self, line: Line, reason: str) -> None:
        if self.warn is not None:
            self.warn(f"{line.file}:{line.number}: {line.name}", reason)

    def set(self, **changes: object) -> None:
        self.options = replace(self.options, **changes)  # type: ignore[arg-type]
