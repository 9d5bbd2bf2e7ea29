"""The process runtime as the workers see it: a spawner, and connections to shims."""

from pathlib import Path

from kubesvc.node.runtime import sandboxdir
from kubesvc.node.runtime.protocol import Hello, SandboxSpec
from kubesvc.node.runtime.sandbox import Sandbox, SandboxGone
from kubesvc.node.runtime.spawner import Spawner


class ProcessRuntime:
    """Makes sandboxes through the spawner; finds running ones by their directories."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner

    async def make(self, spec: SandboxSpec) -> tuple[Sandbox, Hello]:
        """A fresh sandbox, after ending one that may be left in its directory."""
        directory = Path(spec.directory)
        record = sandboxdir.recall_shim(directory)
        if record is not None:
            sandboxdir.kill_shim(record)
        await self._spawner.spawn(spec)
        return await Sandbox.connect(directory)

    async def adopt(self, directory: Path) -> tuple[Sandbox, Hello] | None:
        """The living sandbox of a directory."""
        record = sandboxdir.recall_shim(directory)
        if record is None or not sandboxdir.is_alive(record):
            return None
        try:
            return await Sandbox.connect(directory)
        except SandboxGone:
            return None
