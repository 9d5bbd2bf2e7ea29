"""The state of reading a Corefile: the options so far, and what is refused or remarked on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kubesvc.dns.corefile_lines import CorefileError, Line
from kubesvc.dns.options import DnsOptions

# Told of each word that has no effect: where it stands (file, line, directive), and why.
Warn = Callable[[str, str], None]


@dataclass(slots=True)
class Reading:
    """The options so far, and where a refusal would point."""

    file: str
    options: DnsOptions
    warn: Warn | None = None
    stubs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    zone: str = "."
    has_kubernetes: bool = False

    def refuse(self, line: Line, reason: str) -> CorefileError:
        return CorefileError(f"{self.file}:{line.number}: {line.name}: {reason}")

    def remark(self, line: Line, reason: str) -> None:
        if reason and self.warn is not None:
            self.warn(f"{self.file}:{line.number}: {line.name}", reason)

    def set(self, **changes: object) -> None:
        self.options = replace(self.options, **changes)  # type: ignore[arg-type]
