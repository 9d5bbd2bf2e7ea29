"""Run the commands a document shows, and hold what they print against what the document says they print.

    python scripts/console.py docs/lab.md            say where the document and a fresh cluster differ
    python scripts/console.py docs/lab.md --write    put the real outputs into the document

Only fenced blocks marked `console` are run, in order, in one shell:

    $ kubectl get svc        a command; `> ` continues it on the next line
    NAME   TYPE ...          what it prints

The document says `sudo .venv/bin/kubesvc` and means the cluster `lab`. Here the same commands run with a
cluster of another name, without sudo, so that they disturb nobody's lab. Needs root and kubectl.
"""

import argparse
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(r"^```(\w*)\s*$")
_OWN = re.compile(r"(?:sudo )?\.venv/bin/kubesvc (\S+)")
_LOOKS_ONLY = re.compile(
    r"^(sudo )?(kubectl (get|describe|exec|logs|config view)|curl|dig|ip|nft|grep|\S*kubesvc (status|list))\b"
)
_PATIENCE = 15.0
_LIMIT = 90.0


@dataclass(slots=True)
class Step:
    """A command of the document, the line it begins on (from 1), and the output shown below it."""

    line: int
    command: str
    output: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """A command whose output is not what the document says."""

    step: Step
    found: str

    def __str__(self) -> str:
        said = "\n".join(f"  - {line}" for line in self.step.output)
        found = "\n".join(f"  + {line}" for line in self.found.splitlines())
        return f"line {self.step.line}: $ {self.step.command}\n{said}\n{found}"


def read_steps(text: str) -> list[Step]:
    """The commands of all `console` blocks."""
    steps: list[Step] = []
    language: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if fence:
            language = fence[1] if language is None else None
        elif language == "console":
            _read_line(steps, number, line)
    return steps


def _read_line(steps: list[Step], number: int, line: str) -> None:
    if line.startswith("$ "):
        steps.append(Step(number, line[2:]))
    elif line.startswith("> ") and steps and not steps[-1].output:
        steps[-1].command += "\n" + line[2:]
    elif steps:
        steps[-1].output.append(line)


def with_outputs(text: str, outputs: dict[int, str]) -> str:
    """The document with the output of each command (by its line) replaced."""
    lines = text.splitlines()
    for step in reversed(read_steps(text)):
        start = step.line + step.command.count("\n")
        lines[start : start + len(step.output)] = outputs[step.line].splitlines()
    return "\n".join(lines) + "\n"


# What may differ from one run to the next, and the word that stands for it. Order matters.
_VARIABLE: tuple[tuple[str, str], ...] = (
    (r"(?<=client: )10\.244\.\d+\.\d+:\d+", "POD-ADDRESS:PORT"),
    (r"\b10\.244\.\d+\.\d+", "POD-ADDRESS"),
    (r"\b10\.96\.(?!0\.10?\b)\d+\.\d+", "CLUSTER-ADDRESS"),
    (r"\b10\.89\.\d+\.\d+", "NODE-ADDRESS"),
    (r"\b10\.90\.\d+\.\d+", "BALANCER-ADDRESS"),
    (r"\b10\.(89|90)\.\d+\.0/24", "NETWORK"),
    (r"127\.0\.0\.1:\d+", "LOOPBACK"),
    (r"\b(web-flask)-[a-z0-9]{8,10}-[a-z0-9]{5}\b", r"\1-TEMPLATE-POD"),
    (r"\b(kube-dns)-[a-z0-9]{8,10}-[a-z0-9]{5}\b", r"\1-TEMPLATE-POD"),
    (r"\b(web-flask|kube-dns)-[a-z0-9]{8,10}\b", r"\1-TEMPLATE"),
    (r"\b(web-flask-svc|web-flask-headless|prod-v1|kube-dns)-[a-z0-9]{5}\b", r"\1-SLICE"),
    (r"(pod-template-hash=)[a-z0-9]+", r"\1TEMPLATE"),
    (r"\b3\d{4}(?<!30480)/TCP", "PORT/TCP"),
    (r"\b\d+\.\d+ s\b", "TIME"),
    (r"\b\d+(\.\d+)? (ms|msec|seconds)\b", "TIME"),
    (r"(?<![\w.])(\d+[dhms])+(?![\w.])", "AGE"),
    (r"packets \d+ bytes \d+", "packets N bytes N"),
    (r"\b[0-9a-f]{1,4}:[0-9a-f]{1,4}\b", "NUMBER"),
    (r"\bnode-[12]\b", "NODE"),
    (r"^\s*\d+ (?=web-flask-TEMPLATE)", "COUNT "),
    # Versions of the programs used, and how they have put things over the years.
    (r"\bv\d+\.\d+\.\d+\+kubesvc[.\d]*", "VERSION"),
    (r"\bcurl/[\d.]+", "curl/VERSION"),
    (r"^curl: \((\d+)\) .*", r"curl: (\1)"),
    (r'^((pod|service|namespace)\S* "[^"]+") deleted\b.*', r"\1 deleted"),
)


def comparable(output: str) -> list[str]:
    """An output without what differs from run to run: addresses, ages, random suffixes, times, order, widths."""
    lines = []
    for line in output.splitlines():
        for pattern, word in _VARIABLE:
            line = re.sub(pattern, word, line)
        lines.append(" ".join(line.split()))
    return sorted(line for line in lines if line)


class Shell:
    """One bash for all commands of a document, in the repository, with a kubeconfig of its own."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self._mark = f"--{uuid.uuid4().hex}--"
        self._folder = tempfile.TemporaryDirectory(prefix="kubesvc-console-")
        environment = {
            **os.environ,
            "KUBECONFIG": f"{self._folder.name}/config",
            "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
            "LC_ALL": "C",
            "NO_COLOR": "1",
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=ROOT, env=environment, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.run('sudo() { "$@"; }')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bash.kill()
        self._bash.communicate()
        self._own("down")
        self._folder.cleanup()

    def run(self, command: str) -> str:
        """Type a command; its output, standard error included. Raises TimeoutError."""
        assert self._bash.stdin is not None
        own = _OWN.sub(rf"{sys.executable} -m kubesvc \1 --name {self.cluster}", command)
        own = own.replace("ksv-lab-", f"ksv-{self.cluster}-")
        self._bash.stdin.write(f"{{ {own}\n}} </dev/null; echo {self._mark}\n".encode())
        return self._until_mark(command)

    def run_until(self, step: Step, *, patience: float) -> str:
        """The same; a command that only looks is repeated until it prints what the document says.

        A person types slower than a test: what takes a tenth of a second has happened when they look.
        """
        deadline = time.monotonic() + patience
        wanted = comparable("\n".join(step.output))
        while True:
            output = self.as_lab(self.run(step.command))
            if comparable(output) == wanted or not _LOOKS_ONLY.match(step.command):
                return output
            if time.monotonic() > deadline:
                return output

    def as_lab(self, output: str) -> str:
        """An output as a cluster named `lab` would have given it."""
        for found, said in (
            (f"ksv-{self.cluster}-", "ksv-lab-"),
            (f"'{self.cluster}'", "'lab'"),
            (f"kubesvc-{self.cluster}", "kubesvc-lab"),
            (f"{self._folder.name}/config", "/home/you/.kube/config"),
        ):
            output = output.replace(found, said)
        return output

    def _until_mark(self, command: str) -> str:
        assert self._bash.stdout is not None
        stream, seen = self._bash.stdout.fileno(), b""
        deadline = time.monotonic() + _LIMIT
        while self._mark.encode() not in seen:
            ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(stream, 65536) if ready else b""
            if not piece:
                raise TimeoutError(
                    f"$ {command}: no end after {_LIMIT:.0f} s; so far:\n{seen.decode(errors='replace')}"
                )
            seen += piece
        return seen.decode(errors="replace").partition(self._mark)[0]

    def _own(self, command: str) -> None:
        argv = [sys.executable, "-m", "kubesvc", command, "--name", self.cluster]
        subprocess.run(argv, capture_output=True, check=False)


def differences(steps: list[Step], *, cluster: str) -> list[Difference]:
    """Run the steps on a cluster of that name (they start and remove it) and compare."""
    found = []
    with Shell(cluster) as shell:
        for step in steps:
            output = shell.run_until(step, patience=_PATIENCE)
            if comparable(output) != comparable("\n".join(step.output)):
                found.append(Difference(step, output))
    return found


def record(text: str, *, cluster: str) -> str:
    """The document with what its commands really print now, typed at a person's pace."""
    outputs = {}
    with Shell(cluster) as shell:
        for step in read_steps(text):
            print(f"$ {step.command}", file=sys.stderr)
            outputs[step.line] = shell.as_lab(shell.run(step.command)).rstrip()
            time.sleep(0.5)
    return with_outputs(text, outputs)


def main() -> int:
    parser = argparse.ArgumentParser(description="Hold a document's commands against a fresh cluster.")
    parser.add_argument("document", type=Path)
    parser.add_argument("--write", action="store_true", help="put the real outputs into the document")
    args = parser.parse_args()
    text, cluster = args.document.read_text(), f"doc-{uuid.uuid4().hex[:6]}"
    if args.write:
        args.document.write_text(record(text, cluster=cluster))
        return 0
    found = differences(read_steps(text), cluster=cluster)
    print("\n\n".join(map(str, found)) or "the document tells the truth")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
