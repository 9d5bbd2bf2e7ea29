"""Finished replies, each kept until something it was made from changes.

Bounded on two shelves, so that a flood of names that do not exist can neither grow the memory nor
push out the names that do. When a shelf is full its oldest few go; that costs them one encoding.
Full is also a matter of bytes: one large answer can be asked for in tens of thousands of ways.
"""

from collections.abc import Hashable, Iterator
from itertools import islice

import msgspec

from kubesvc.dns.tally import Tally

MAX_KNOWN = 65_536
MAX_DENIED = 8_192
MAX_ROOM = 32 << 20
# Key, header, entry, and their places in the dicts, in bytes.
_OVERHEAD = 300
# Few at a time: no query has to wait for a big clearing-out.
_BATCH = 64
# Denials under one object beyond this many are worked out each time.
_MAX_DENIED_PER_DEPENDENCY = 64


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A finished reply: `head`, the question from 12 to `question_end`, the next of `bodies`."""

    head: bytes
    question_end: int
    bodies: Iterator[bytes]
    tally: Tally
    depends: tuple[Hashable, ...]
    room: int  # bytes that `bodies` takes


class Memo:
    """Replies by key on the shelves `known` and `denied`, and keys by what they depend on."""

    def __init__(self, *, max_known: int = MAX_KNOWN, max_denied: int = MAX_DENIED, max_room: int = MAX_ROOM) -> None:
        self.known: dict[bytes, Entry] = {}
        self.denied: dict[bytes, Entry] = {}
        # One key alone, as often, stands without a list around it: there are many.
        self._keys: dict[Hashable, bytes | list[bytes]] = {}
        self._max_known = max_known
        self._max_denied = max_denied
        self._max_room = max_room
        self.room = 0  # bytes that all entries take, about

    def keep(self, key: bytes, entry: Entry) -> None:
        """Remember a reply with records; one that rests on nothing is valid for ever."""
        if self.room >= self._max_room:
            self._make_room(self.known)
        self._put(self.known, self._max_known, key, entry)

    def keep_denial(self, key: bytes, entry: Entry) -> None:
        """Remember an NXDOMAIN."""
        if all(self._count(dependency) < _MAX_DENIED_PER_DEPENDENCY for dependency in entry.depends):
            self._put(self.denied, self._max_denied, key, entry)

    def forget(self, dependency: Hashable) -> None:
        """Drop every reply made from `dependency`."""
        held = self._keys.pop(dependency, None)
        if held is None:
            return
        for key in (held,) if isinstance(held, bytes) else held:
            for shelf in (self.known, self.denied):
                entry = shelf.pop(key, None)
                if entry is not None:
                    self._unlink(key, entry)

    def clear(self) -> None:
        """Drop everything, as when the rules change that replies were made by."""
        self.known.clear()
        self.denied.clear()
        self._keys.clear()
        self.room = 0

    def _put(self, shelf: dict[bytes, Entry], limit: int, key: bytes, entry: Entry) -> None:
        if len(shelf) >= limit:
            self._make_room(shelf)
        shelf[key] = entry
        self.room += _OVERHEAD + entry.room
        for dependency in entry.depends:
            held = self._keys.get(dependency)
            if held is None:
                self._keys[dependency] = key
            elif isinstance(held, bytes):
                self._keys[dependency] = [held, key]
            else:
                held.append(key)

    def _make_room(self, shelf: dict[bytes, Entry]) -> None:
        for old in list(islice(shelf, _BATCH)):
            self._unlink(old, shelf.pop(old))

    def _count(self, dependency: Hashable) -> int:
        held = self._keys.get(dependency, ())
        return 1 if isinstance(held, bytes) else len(held)

    def _unlink(self, key: bytes, entry: Entry) -> None:
        self.room -= _OVERHEAD + entry.room
        for dependency in entry.depends:
            held = self._keys.get(dependency)
            if isinstance(held, list) and key in held:
                held.remove(key)
            if held in (key, []):
                del self._keys[dependency]
