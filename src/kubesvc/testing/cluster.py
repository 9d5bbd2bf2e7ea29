"""A disposable cluster for tests: real API, real pods, real packets, in about a second.

    with Cluster(nodes=2) as cluster:
        cluster.apply(MANIFEST)
        cluster.wait_for("deploy/web", "condition=Available")
        assert "web" in cluster.exec("client", "curl", "-s", "web:3000")

Everything it needs it makes for itself: a name of its own, a kubeconfig in a private folder. The
person's kubeconfig and other clusters are never touched.
"""

import asyncio
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kubesvc.cluster.ledger import home

Manifest = str | Path | dict[str, Any] | Iterable[dict[str, Any]]

# A failure is shown in the test that asked, not in here (pytest reads this name).
__tracebackhide__ = True

_UP_TIMEOUT = 60.0
_MANIFEST_ENDINGS = (".yaml", ".yml", ".json")


class CommandFailed(AssertionError):
    """A command in or about the cluster failed; the message holds its output."""

    def __init__(self, argv: list[str], code: int, stdout: str, stderr: str) -> None:
        said = "kubesvc " + shlex.join(argv[3:]) if argv[1:3] == ["-m", "kubesvc"] else shlex.join(argv)
        super().__init__(f"{said}: exit code {code}\n{stdout}{stderr}".rstrip())
        self.code = code
        self.stdout = stdout
        self.stderr = stderr


class Cluster:
    """One cluster, up inside the `with` block; `async with` works as well.

    The methods are synchronous and raise CommandFailed; from asynchronous code call them with
    `asyncio.to_thread`.
    """

    def __init__(
        self,
        name: str = "",
        *,
        nodes: int = 1,
        proxy_mode: str = "nftables",
        load_balancer: bool = True,
        durability: str = "process",
        timeout: float = _UP_TIMEOUT,
    ) -> None:
        self.name = name or f"test-{uuid.uuid4().hex[:8]}"
        self.node_names = [f"node-{number}" for number in range(1, nodes + 1)]
        self._up_flags = ["--nodes", str(nodes), "--proxy-mode", proxy_mode, "--timeout", f"{timeout}s"]
        self._up_flags += ["--durability", durability]
        self._up_flags += [] if load_balancer else ["--no-load-balancer"]
        self._folder = Path(tempfile.gettempdir())
        self._up_report = ""

    # Life

    def up(self) -> Self:
        """Start the cluster and wait until it works."""
        self._folder = Path(tempfile.mkdtemp(prefix=f"kubesvc-{self.name}-"))
        try:
            flags = ["--name", self.name, "--kubeconfig", str(self.kubeconfig), *self._up_flags]
            self._up_report = self._execute([sys.executable, "-m", "kubesvc", "up", *flags], None).stderr
        except BaseException as err:
            err.add_note(self.log_ends())
            self.down()
            raise
        return self

    def down(self) -> None:
        """Remove the cluster and the folder; twice is fine."""
        self.kubesvc("down", "--name", self.name)
        if self._folder != Path(tempfile.gettempdir()):
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.up)

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.down)

    # Access

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig with this cluster alone."""
        return self._folder / "kubeconfig"

    def node_netns(self, node: str) -> str:
        """The name of a node's network namespace, as `ip netns` shows it."""
        return f"ksv-{self.name}-{node}"

    @property
    def router_netns(self) -> str:
        """The name of the network namespace between the nodes and the machine."""
        return f"ksv-{self.name}-router"

    def status(self) -> dict[str, Any]:
        """What `kubesvc status -o json` reports, ready or not."""
        text = self.kubesvc("status", "--name", self.name, "-o", "json", check=False)
        document: dict[str, Any] = json.loads(text)
        return document

    def up_stages(self) -> list[tuple[str, float]]:
        """The stages that `up` reported, with the seconds from its start: network, api, nodes, dns."""
        lines = [line.split() for line in self._up_report.splitlines() if line.endswith(" s") and line[:2] == "- "]
        return [(words[1].lower(), float(words[-2])) for words in lines]

    def log_ends(self, lines: int = 25) -> str:
        """The last lines of each component's log, for the report of a failure."""
        ends = []
        for log in sorted((home() / self.name / "logs").glob("*.log")):
            last = log.read_text(errors="replace").splitlines()[-lines:]
            ends += [f"--- {log.stem}", *last]
        return "\n".join(ends)

    # Commands

    def kubesvc(self, *args: str, input: str | None = None, check: bool = True, timeout: float = 120.0) -> str:  # noqa: A002
        """The output of a `kubesvc` command."""
        return self._run([sys.executable, "-m", "kubesvc", *args], input, check=check, timeout=timeout)

    def kubectl(self, *args: str, input: str | None = None, check: bool = True, timeout: float = 120.0) -> str:  # noqa: A002
        """The output of `kubectl`, or where that is not installed of the same `kubesvc` command."""
        program = ["kubectl"] if shutil.which("kubectl") else [sys.executable, "-m", "kubesvc"]
        return self._run([*program, *args], input, check=check, timeout=timeout)

    def apply(self, manifest: Manifest, *, namespace: str = "default") -> str:
        """Apply a manifest: YAML text, a file (Path, or a name in .yaml, .yml, .json), an object, several."""
        if isinstance(manifest, Path) or (isinstance(manifest, str) and manifest.endswith(_MANIFEST_ENDINGS)):
            return self.kubectl("apply", "-n", namespace, "-f", str(manifest))
        if isinstance(manifest, dict):
            manifest = json.dumps(manifest)
        elif not isinstance(manifest, str):
            manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifest)})
        return self.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)

    def get(self, what: str, name: str = "", *, namespace: str = "default", selector: str = "") -> dict[str, Any]:
        """One object, or the List of a type, as a document."""
        words = [what, name] if name else [what]
        words += ["-l", selector] if selector else []
        document: dict[str, Any] = json.loads(self.kubectl("get", *words, "-n", namespace, "-o", "json"))
        return document

    def exec(
        self,
        pod: str,
        *command: str,
        namespace: str = "default",
        container: str = "",
        input: str | None = None,  # noqa: A002
        check: bool = True,
    ) -> str:
        """Run a command in a pod; its standard output."""
        words = ["exec", "-n", namespace, pod]
        words += ["-c", container] if container else []
        words += ["-i"] if input is not None else []
        return self.kubectl(*words, "--", *command, input=input, check=check)

    def logs(self, pod: str, *, namespace: str = "default", container: str = "") -> str:
        """The log of a pod's container."""
        words = ["-c", container] if container else []
        return self.kubectl("logs", "-n", namespace, pod, *words)

    def wait_for(self, what: str, aim: str, *, namespace: str = "default", timeout: float = 30.0) -> None:
        """Wait as `kubectl wait` does: `condition=Ready`, `delete`, `jsonpath={.a}=v`; also `endpoints=N`.

        `what` is TYPE/NAME.
        """
        flags = ["-n", namespace, f"--for={aim}", f"--timeout={timeout}s", "--kubeconfig", str(self.kubeconfig)]
        self.kubesvc("wait", what, *flags, timeout=timeout + 30)

    def _run(self, argv: list[str], text: str | None, *, check: bool, timeout: float) -> str:
        return self._execute(argv, text, check=check, timeout=timeout).stdout

    def _execute(
        self, argv: list[str], text: str | None, *, check: bool = True, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        own = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self._folder / "cache")}
        environment = {**os.environ, **own, "KUBESVC_TEST_CLUSTER": self.name}
        done = subprocess.run(
            argv, input=text, stdin=None if text is not None else subprocess.DEVNULL, capture_output=True,
            text=True, env=environment, timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise CommandFailed(argv, done.returncode, done.stdout, done.stderr)
        return done
