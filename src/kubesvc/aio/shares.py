"""What each of many may have: a burst, then one in a while. For what one bad object must not flood."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Shares(Generic[K]):
    """A token bucket for each key; of very many keys the longest untouched are forgotten."""

    def __init__(self, burst: int, refill_seconds: float, *, most_keys: int = 4096) -> None:
        self._burst, self._refill_seconds, self._most_keys = float(burst), refill_seconds, most_keys
        self._left: OrderedDict[K, tuple[float, float]] = OrderedDict()

    def take(self, key: K, now: float) -> bool:
        """Take one off what `key` may still have at `now` (monotonic seconds); False if that is nothing."""
        left, since = self._left.pop(key, (self._burst, now))
        left = min(left + (now - since) / self._refill_seconds, self._burst)
        self._left[key] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > self._most_keys:
            self._left.popitem(last=False)
        return left >= 1
