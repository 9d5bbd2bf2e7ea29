"""Processes by what /proc says of them."""

import os
import subprocess

from kubesvc.cluster.processes import children_of, kill_and_wait, name_of, process


def test_a_child_is_found_named_and_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        found = process(child.pid)
        assert found is not None
        assert child.pid in children_of(os.getpid())
        # Until the new program runs, the child has our name.
        assert name_of(child.pid) in ("sleep", name_of(os.getpid()))
        kill_and_wait([found])
        assert not found.alive()
    assert name_of(child.pid) == ""
    assert children_of(child.pid) == []
