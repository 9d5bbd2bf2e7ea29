"""The stage of the demo: shows a step, the command a person would type, its real output, and the verdict."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubesvc.cli.output import paint

EXAMPLES = Path(__file__).parent / "examples"
_PATIENCE = 30.0
_POLL = 0.05


class StepFailed(Exception):
    """What was expected and what was found."""


@dataclass(slots=True)
class Stage:
    """Runs commands as a person would, in a folder that has `examples/`, with a kubeconfig of its own."""

    cluster: str
    use_kubectl: bool
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="kubesvc-demo-")))
    keep: bool = False
    passed: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        (self.folder / "examples").symlink_to(EXAMPLES)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def step(self, title: str, shows: str, body: Callable[[], None]) -> bool:
        """Run one step; whether it passed."""
        self.total += 1
        print(f"\n{paint(f'Step {self.total}: {title}', '1')}\n  {paint(shows, '2')}", flush=True)
        started = time.monotonic()
        try:
            body()
        except (StepFailed, subprocess.TimeoutExpired) as err:
            print(f"  {paint('FAILED', '31;1')}: {err}", flush=True)
            return False
        self.passed += 1
        print(f"  {paint('passed', '32')} ({time.monotonic() - started:.1f} s)", flush=True)
        return True

    def run(self, *words: str, check: bool = True, show: bool = True) -> str:
        """Type a command: show it, run it, show its output; returns the output."""
        if show:
            print(f"  $ {shlex.join(words)}", flush=True)
        done = self._execute(words)
        output = done.stdout + (done.stderr if self.keep else without_hints(done.stderr, self.cluster))
        if show and output.strip():
            print("\n".join(f"    {line}" for line in output.rstrip().splitlines()), flush=True)
        if check and done.returncode != 0:
            raise StepFailed(f"{shlex.join(words)}: exit code {done.returncode}\n{output.rstrip()}")
        return done.stdout

    def kubectl(self, *words: str, check: bool = True, show: bool = True) -> str:
        """The same for a kubectl command; where kubectl is missing, `kubesvc` takes it."""
        return self.run("kubectl" if self.use_kubectl else "kubesvc", *words, check=check, show=show)

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until `holds`, looking often. Raises StepFailed after half a minute."""
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise StepFailed(f"after {_PATIENCE:.0f} s still not so: {what}")
            time.sleep(_POLL)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Type a command that goes on in the background."""
        print(f"  $ {shlex.join(words)} &", flush=True)
        return subprocess.Popen(
            self._argv(words), cwd=self.folder, env=self._environment(), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _execute(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._argv(words), cwd=self.folder, env=self._environment(), text=True, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def _argv(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "kubesvc", *words[1:]] if words[0] == "kubesvc" else list(words)

    def _environment(self) -> dict[str, str]:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        cache = str(self.kubeconfig.parent / "cache")
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": cache, "PATH": path}


def without_hints(said: str, cluster: str) -> str:
    """P: what a command said, without its hints to look at a cluster that will be gone."""
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if not (line.startswith("hint:") and f"--name {cluster}" in line))


def expect(condition: object, expectation: str) -> None:
    """Raise StepFailed unless the condition holds."""
    if not condition:
        raise StepFailed(f"expected {expectation}")
