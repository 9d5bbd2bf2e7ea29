"""What the watching process and its workers say to each other: frames of MessagePack over a stream.

A frame is its size in four bytes and one message. Down go `Setup`, `Rows`, `Synced`, `Change`, `AskCounts`;
up come `Ready` and `Counted`.
"""

from collections.abc import Iterator

import msgspec

from kubesvc.dns.metrics import Counts
from kubesvc.dns.options import DnsOptions

MAX_FRAME = 64 << 20


class Setup(msgspec.Struct, array_like=True, tag="setup"):
    """The first message: how to answer, and the sockets the worker was given, by place as UDP and TCP.

    A `patient` worker leaves questions in its sockets until it knows everything.
    """

    options: DnsOptions
    serial: int
    sockets: list[tuple[str, int, int, int]]  # address, port, and the two descriptors
    patient: bool


class Rows(msgspec.Struct, array_like=True, tag="rows"):
    """Rows as `rows.pack` makes them."""

    rows: list[msgspec.Raw]


class Synced(msgspec.Struct, array_like=True, tag="synced"):
    """Everything that was there at the start has been sent."""


class Change(msgspec.Struct, array_like=True, tag="change"):
    """Other options. When `fresh`, all rows come anew behind it, and the old answers hold until `Synced`.

    As many pairs of sockets for new places as `opened` says have been sent before, beside the stream.
    """

    options: DnsOptions
    fresh: bool
    opened: int


class AskCounts(msgspec.Struct, array_like=True, tag="ask-counts"):
    pass


class Ready(msgspec.Struct, array_like=True, tag="ready"):
    """The worker has taken in `Synced`, and so everything before it."""


class Counted(msgspec.Struct, array_like=True, tag="counted"):
    counts: Counts


ToWorker = Setup | Rows | Synced | Change | AskCounts
FromWorker = Ready | Counted

_encoder = msgspec.msgpack.Encoder()
to_worker = msgspec.msgpack.Decoder(ToWorker)
from_worker = msgspec.msgpack.Decoder(FromWorker)


def frame(message: ToWorker | FromWorker) -> bytes:
    """One message, ready to be written."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


class Deframer:
    """Cuts a stream of bytes back into messages' bytes; raises ValueError for an absurd size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in what was read; the whole messages so far."""
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 4:
            size = int.from_bytes(buffer[at : at + 4], "big")
            if size > MAX_FRAME:
                raise ValueError(f"a frame of {size} bytes")
            if len(buffer) - at - 4 < size:
                break
            yield bytes(buffer[at + 4 : at + 4 + size])
            at += 4 + size
        del buffer[:at]
