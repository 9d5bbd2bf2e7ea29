"""P: when a role that died may start again."""

from dataclasses import dataclass

from kubesvc.aio.backoff import backoff

_FIRST_DELAY = 0.1
_MAX_DELAY = 10.0
_STABLE_AFTER = 30.0


@dataclass(slots=True)
class RestartPolicy:
    """At once after the first death, then after 0.1 s doubling to 10 s; 30 s alive forgive everything."""

    failures: int = 0

    def delay(self, *, lived: float) -> float:
        """Seconds to wait after a death; `lived` is how long the role had run."""
        if lived >= _STABLE_AFTER:
            self.failures = 0
        self.failures += 1
        if self.failures == 1:
            return 0.0
        return backoff(self.failures - 1, first=_FIRST_DELAY, longest=_MAX_DELAY)
