"""The tutorial tells the truth: its commands, typed in order on a fresh cluster, print what it says."""

import shutil
import uuid

import pytest
from scripts import console

LAB = console.ROOT / "docs" / "lab.md"


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here, which the tutorial is typed with")
def test_every_command_of_the_tutorial_prints_what_the_tutorial_says() -> None:
    steps = console.read_steps(LAB.read_text())
    assert len(steps) > 50
    found = console.differences(steps, cluster=f"doc-{uuid.uuid4().hex[:6]}")
    assert not found, "\n\n".join(map(str, found))
