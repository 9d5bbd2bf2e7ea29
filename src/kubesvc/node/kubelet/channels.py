"""P: the channels of an exec or attach WebSocket, subprotocols v4 and v5.channel.k8s.io.

Every binary message is one byte for its channel and then the data. In v5 channel 255 says that the
channel named by its one byte of data is closed, which is how standard input ends.
"""

from enum import IntEnum
from typing import Any

import msgspec

V5 = "v5.channel.k8s.io"
PROTOCOLS = (V5, "v4.channel.k8s.io")


class Channel(IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4
    CLOSE = 255


class StreamOptions(msgspec.Struct, frozen=True):
    """Which streams the caller wants; a terminal has no separate standard error."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Input(msgspec.Struct, frozen=True):
    data: bytes


class InputEnd(msgspec.Struct, frozen=True):
    pass


class Resize(msgspec.Struct, frozen=True):
    columns: int
    rows: int


def frame(channel: Channel, data: bytes) -> bytes:
    """A message of ours."""
    return bytes((channel,)) + data


def parse_message(message: bytes) -> Input | InputEnd | Resize | None:
    """A message of the caller; None for one that means nothing here."""
    if not message:
        return None
    channel, data = message[0], message[1:]
    if channel == Channel.STDIN:
        return Input(data) if data else None
    if channel == Channel.CLOSE and data[:1] == bytes((Channel.STDIN,)):
        return InputEnd()
    if channel == Channel.RESIZE:
        return _parse_resize(data)
    return None


def _parse_resize(data: bytes) -> Resize | None:
    try:
        size = msgspec.json.decode(data, type=dict[str, int])
        return Resize(size["Width"], size["Height"])
    except (msgspec.DecodeError, KeyError):
        return None


def exit_message(code: int) -> bytes:
    """What the error channel says at the end: Success, or a Failure whose cause carries the exit code."""
    status: dict[str, Any] = {"metadata": {}, "status": "Success"}
    if code:
        status = {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }
    return msgspec.json.encode(status)


def failure_message(text: str) -> bytes:
    """The error channel of a command that could not be run."""
    status = {"metadata": {}, "status": "Failure", "message": text, "reason": "InternalError", "code": 500}
    return msgspec.json.encode(status)
