"""A shim's batch of events: what one of them closes, the later ones of the batch leave alone."""

import socket
from pathlib import Path

from kubesvc.node.runtime.protocol import SandboxSpec
from kubesvc.node.runtime.shim import Shim


def test_an_event_whose_descriptor_went_earlier_in_the_batch_is_skipped(tmp_path: Path) -> None:
    shim = Shim(SandboxSpec("uid", "default", "web", "web", str(tmp_path), None, 0), {})
    handled: list[str] = []
    pairs = {name: socket.socketpair() for name in ("end of the container", "its stream")}

    def handle(name: str) -> None:
        handled.append(name)
        for ours, _ in pairs.values():
            shim._unwatch(ours.fileno())

    for name, (ours, theirs) in pairs.items():
        theirs.send(b"x")
        shim._watch(ours.fileno(), lambda name=name: handle(name))  # type: ignore[misc]
    batch = shim._selector.select()
    assert len(batch) == 2
    shim._handle_events(batch)
    assert len(handled) == 1
    for pair in pairs.values():
        for end in pair:
            end.close()
    shim._selector.close()
    shim._node.close()
