"""What the agent, the spawner and a pod's shim say to one another: JSON messages, one per datagram.

Descriptors that belong to a message travel beside it (SCM_RIGHTS). A container's specification is
larger than a datagram may be, so it travels in a sealed memory file.
"""

import msgspec


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all messages."""


# Values


class NetworkSpec(Message, frozen=True):
    """How the pod is wired: its address on `eth0`, and the host end's name in the node's namespace."""

    address: str
    host_link: str
    node_address: str
    mtu: int


class SandboxSpec(Message, frozen=True):
    """One pod: `network` is None for a pod on its node's network."""

    uid: str
    namespace: str
    name: str
    hostname: str
    directory: str
    network: NetworkSpec | None = None
    attempt: int = 0


class MountSpec(Message, frozen=True):
    """A bind mount from the host into a container."""

    source: str
    target: str
    read_only: bool = False


class ContainerSpec(Message, frozen=True):
    """One run of one container.

    `builtin` names a built-in image whose function is called with `argv`; without it `argv` is executed.
    `hidden` are host directories that the container sees empty.
    """

    name: str
    attempt: int
    id: str
    argv: tuple[str, ...]
    log_path: str
    builtin: str = ""
    env: dict[str, str] = {}
    working_dir: str = ""
    mounts: tuple[MountSpec, ...] = ()
    hidden: tuple[str, ...] = ()
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = ()
    read_only_root: bool = False


class ContainerState(Message, frozen=True):
    """What a shim knows of one run of a container. Times are Unix seconds."""

    name: str
    attempt: int
    id: str
    pid: int = 0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int | None = None
    signal: int = 0
    error: str = ""

    @property
    def running(self) -> bool:
        return self.exit_code is None


# From the agent to the spawner


class Spawn(Message, frozen=True, tag="spawn"):
    """Fork a shim for a pod; the descriptor beside it is the pipe on which the shim reports `Ready` or `Failed`."""

    sandbox: SandboxSpec


# From the agent to a shim; each is answered by `Done` or `Failed` with the same id


class Start(Message, frozen=True, tag="start"):
    """Start a container; beside it the memory file with its `ContainerSpec`."""

    id: int


class Signal(Message, frozen=True, tag="signal"):
    """Send a signal to a container's first process."""

    id: int
    container: str
    number: int


class Exec(Message, frozen=True, tag="exec"):
    """Run `argv` inside a running container.

    Beside it: standard input, output and error; for a terminal one socket on which the terminal's
    descriptor comes back.
    """

    id: int
    container: str
    argv: tuple[str, ...]
    tty: bool = False


class KillExec(Message, frozen=True, tag="kill_exec"):
    """Kill the process of an earlier `Exec`."""

    id: int
    exec: int


class Attach(Message, frozen=True, tag="attach"):
    """Copy a container's output to the two descriptors beside it; answered with its standard input, if it has one."""

    id: int
    container: str


class Stop(Message, frozen=True, tag="stop"):
    """End the sandbox and everything in it, at once."""

    id: int


Request = Start | Signal | Exec | KillExec | Attach | Stop


# From a shim to the agent


class Hello(Message, frozen=True, tag="hello"):
    """The first message on every connection: the pod and the runs of its containers, oldest first."""

    sandbox: SandboxSpec
    pid: int
    created_at: float
    containers: tuple[ContainerState, ...]


class Done(Message, frozen=True, tag="done"):
    """A request was carried out."""

    id: int
    state: ContainerState | None = None


class Failed(Message, frozen=True, tag="failed"):
    """A request was not carried out, and why, for a person."""

    id: int
    error: str


class Exited(Message, frozen=True, tag="exited"):
    """A container's first process ended."""

    state: ContainerState


class ExecExited(Message, frozen=True, tag="exec_exited"):
    """The process of an `Exec` ended; `exit_code` is 128 + n when signal n killed it."""

    exec: int
    exit_code: int


class Ready(Message, frozen=True, tag="ready"):
    """The sandbox stands and its shim listens."""

    pid: int


Answer = Hello | Done | Failed | Exited | ExecExited
Report = Ready | Failed

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_spawns = msgspec.json.Decoder(Spawn)
_reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
_containers = msgspec.json.Decoder(ContainerSpec)

MAX_MESSAGE = 1 << 17


def encode(message: Message) -> bytes:
    """The bytes of any message."""
    return msgspec.json.encode(message)


def decode_request(data: bytes) -> Request:
    return _requests.decode(data)


def decode_answer(data: bytes) -> Answer:
    return _answers.decode(data)


def decode_spawn(data: bytes) -> Spawn:
    return _spawns.decode(data)


def decode_report(data: bytes) -> Report:
    return _reports.decode(data)


def decode_container(data: bytes) -> ContainerSpec:
    return _containers.decode(data)


def exit_status(wait_status: int) -> tuple[int, int]:
    """(exit code, signal) of a status from waitpid: death by signal n is code 128 + n, as shells and CRI say."""
    if wait_status & 0x7F:
        return 128 + (wait_status & 0x7F), wait_status & 0x7F
    return (wait_status >> 8) & 0xFF, 0
