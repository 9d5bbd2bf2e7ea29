"""What a machine has once is held by one process at a time, and given back however that one ends."""

import os
import signal

import pytest

from kubesvc.cluster.claims import Claimed, Claims, claim


def test_a_claim_is_held_until_it_is_closed() -> None:
    held = claim("test/one")
    assert held is not None
    assert claim("test/one") is None
    held.close()
    again = claim("test/one")
    assert again is not None
    again.close()


def test_all_or_none_is_held() -> None:
    with Claims() as others, Claims() as ours:
        others.take("test/b")
        with pytest.raises(Claimed, match="test/b"):
            ours.take("test/a", "test/b")
        others.take("test/a")
    with Claims() as again:
        again.take("test/a", "test/b")


def test_a_killed_holder_gives_back() -> None:
    held, ready = claim("test/killed"), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"+")
        signal.pause()
    assert held is not None
    held.close()
    os.read(ready[0], 1)
    assert claim("test/killed") is None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    again = claim("test/killed")
    assert again is not None
    again.close()
    os.close(ready[0])
    os.close(ready[1])
