"""`kubesvc/pause` and `kubesvc/host` without a command: do nothing until told to end."""

import os
import signal
from collections.abc import Sequence


def sleep_for_ever(argv: Sequence[str]) -> None:
    """Sleep, reaping the orphans that a first process inherits, until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        signal.pause()
