"""Replies: records laid out for one question, fitted to what the asker can take.

Every record points into the question and nowhere else (see `wire.Compressor`). So a finished
reply can be sent again with its records in another order, or under another spelling of the
question, without being encoded again.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, cycle, islice, repeat
from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.query import Query
from kubesvc.dns.records import Record

_FEW = 6
# What a generator takes, and a number in a list that it holds, in bytes.
_FRAME = 500
_PER_START = 40


class Reply(NamedTuple):
    """A reply but for its ID and question: `head`, the question, then the next of `bodies`.

    `size` is the whole message's; `room` is what the bodies take for as long as they are kept, in
    bytes; `cut` says that something had to be left out.
    """

    head: bytes
    bodies: Iterator[bytes]
    size: int
    room: int
    cut: bool = False

    def to(self, query: Query) -> bytes:
        return b"".join((query.id, self.head, query.question, next(self.bodies)))


def compose(
    query: Query,
    *,
    rcode: int,
    flags: int,
    limit: int,
    answers: Sequence[Record] = (),
    authority: Sequence[Record] = (),
    additional: Sequence[Record] = (),
    turn: int = 0,
) -> Reply:
    """Lay out a reply of at most `limit` bytes, answers rotated by `turn`.

    When it does not fit, additional records go first, which costs nothing but a second question
    (RFC 2181, section 9). Then TC is set and as many answers stay as fit: a resolver that cannot
    come back by TCP still gets something to connect to.
    """
    compressor = wire.Compressor(query.name)
    option = query.option
    fixed, turning = _encode_answers(answers, compressor, turn)
    encoded_authority = [record.encode(compressor) for record in authority]
    encoded_additional = [record.encode(compressor) for record in additional]
    room = limit - wire.HEADER_SIZE - len(query.question) - len(option)
    needed = _size(fixed) + _size(turning) + _size(encoded_authority)
    cut = False
    if needed + _size(encoded_additional) > room:
        encoded_additional, cut = [], True
    if needed > room:
        flags |= wire.FLAG_TC
        encoded_authority = []
        fixed, turning = _take(fixed + turning, room), []
    head = wire.header_bytes(
        query.echoed_flags | flags | rcode & 0xF,
        answers=len(fixed) + len(turning),
        authorities=len(encoded_authority),
        additionals=len(encoded_additional) + bool(option),
    )
    rest = b"".join((*encoded_authority, *encoded_additional, option))
    size = wire.HEADER_SIZE + len(query.question) + _size(fixed) + _size(turning) + len(rest)
    return Reply(head, _bodies(b"".join(fixed), turning, rest), size, _room(size, len(turning)), cut)


def _encode_answers(
    answers: Sequence[Record], compressor: wire.Compressor, turn: int
) -> tuple[list[bytes], list[bytes]]:
    """The leading chain of CNAMEs, which stays in order, and the set behind it, which turns."""
    chain = next((at for at, record in enumerate(answers) if record.type != wire.Type.CNAME), len(answers))
    fixed = [record.encode(compressor) for record in answers[:chain]]
    turning = [record.encode(compressor) for record in answers[chain:]]
    start = turn % len(turning) if turning else 0
    return fixed, turning[start:] + turning[:start]


def _size(encoded: Sequence[bytes]) -> int:
    return sum(map(len, encoded))


def _take(encoded: Sequence[bytes], room: int) -> list[bytes]:
    ends = accumulate(map(len, encoded))
    return [record for record, end in zip(encoded, ends, strict=True) if end <= room]


def _bodies(fixed: bytes, turning: list[bytes], rest: bytes) -> Iterator[bytes]:
    if len(turning) < 2:
        return repeat(fixed + b"".join(turning) + rest)
    turns = _turns(fixed, turning, rest)
    # All turns of a small set take less room than a generator's frame.
    return cycle(list(islice(turns, len(turning)))) if len(turning) <= _FEW else turns


def _room(size: int, turning: int) -> int:
    """About what the turns of `turning` records in `size` bytes take."""
    return size * max(turning, 1) if turning <= _FEW else _FRAME + 3 * size + _PER_START * turning


def _turns(fixed: bytes, turning: list[bytes], rest: bytes) -> Iterator[bytes]:
    """Endlessly: the set beginning with its first record, its second, and so on."""
    size = _size(turning)
    twice = b"".join(turning) * 2
    starts = [0, *accumulate(map(len, turning[:-1]))]
    del turning
    while True:
        for start in starts:
            yield fixed + twice[start : start + size] + rest
