"""How long a change of endpoints takes to show in names: Kubernetes' DNS programming latency."""

import re
import time
from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime

from kubesvc.dns.metrics import PROGRAMMING_BUCKETS

_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


class Programming:
    """Seconds from trigger times (RFC 3339, of another machine's clock) to now, in buckets."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.counts = [0] * (len(PROGRAMMING_BUCKETS) + 1)
        self.seconds = 0.0

    def observe(self, trigger: str) -> None:
        """Count a change that shows now; a trigger time that is none counts nothing."""
        try:
            since = datetime.fromisoformat(_BEYOND_MICROSECONDS.sub(r"\1", trigger))
        except ValueError:
            return
        if since.tzinfo is None:
            return
        taken = max(self._now() - since.timestamp(), 0.0)
        self.counts[bisect_left(PROGRAMMING_BUCKETS, taken)] += 1
        self.seconds += taken
