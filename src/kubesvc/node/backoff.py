"""P: how long a container waits before it is started again (kubelet: 10 s doubling to 5 min, forgiven after 10 min)."""

import msgspec

from kubesvc.aio.backoff import backoff

FIRST = 10.0
LONGEST = 300.0
FORGIVEN_AFTER = 600.0


class BackOff(msgspec.Struct, frozen=True):
    """What the next exit will cost: seconds to wait; nothing for the first one."""

    delay: float = 0.0

    def after_exit(self, ran_for: float) -> tuple[float, "BackOff"]:
        """(seconds to wait now, the next state); a run of ten minutes is forgiven."""
        wait = 0.0 if ran_for >= FORGIVEN_AFTER else self.delay
        return wait, BackOff(min(max(wait * 2, FIRST), LONGEST))


def image_delay(failures: int) -> float:
    """Seconds until an image is tried again after `failures` failures in a row."""
    return backoff(failures, first=FIRST, longest=LONGEST)


def describe(seconds: float) -> str:
    """A delay as the kubelet writes it: `10s`, `1m20s`, `5m0s`."""
    whole = int(seconds)
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"
