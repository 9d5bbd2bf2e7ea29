"""When what failed is to be tried again: each family by itself, after growing pauses."""

from kubesvc.aio.clock import Clock

RETRY_SECONDS = (0.1, 0.5, 2.0, 10.0, 30.0)


class Retries:
    """The families whose last sync failed, and when the next is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[int, float]] = {}

    def failed(self, family: str) -> None:
        """Have it wait, longer than the last time."""
        failures = self._failed.get(family, (0, 0.0))[0]
        pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
        self._failed[family] = (failures + 1, self._clock.monotonic() + pause)

    def succeeded(self, family: str) -> None:
        self._failed.pop(family, None)

    def waits(self, family: str) -> bool:
        """Whether it is too early to try this family again."""
        return family in self._failed and self._clock.monotonic() < self._failed[family][1]

    def seconds(self) -> float | None:
        """How long until the next retry is due; None while nothing has failed."""
        due = [at for _, at in self._failed.values()]
        return max(min(due) - self._clock.monotonic(), 0.0) if due else None
