"""Finished replies, each kept until something it was made from changes.

Bounded: when full, the older half goes, which costs its names one encoding each. Denials share
the bound, so that a flood of random names takes no more memory than this.
"""

from collections.abc import Hashable, Iterator
from itertools import islice
from typing import NamedTuple

from kubesvc.dns.reply import Reply
from kubesvc.dns.tally import Tally

MAX_ENTRIES = 65_536


class Entry(NamedTuple):
    """A finished reply: `head`, the question from 12 to `question_end`, the next of `bodies`."""

    head: bytes
    question_end: int
    bodies: Iterator[bytes]
    tally: Tally

    @classmethod
    def of(cls, reply: Reply, question_size: int, tally: Tally) -> "Entry":
        return cls(reply.head, 12 + question_size, reply.bodies, tally)


class Memo:
    """Replies by key, and keys by what they depend on."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES) -> None:
        self.entries: dict[bytes, Entry] = {}
        self._keys: dict[Hashable, list[bytes]] = {}
        self._max_entries = max_entries

    def keep(self, key: bytes, entry: Entry, depends: tuple[Hashable, ...]) -> None:
        """Remember `entry`; a reply that rests on nothing is valid for ever."""
        if len(self.entries) >= self._max_entries:
            self._drop_older_half()
        self.entries[key] = entry
        for dependency in depends:
            self._keys.setdefault(dependency, []).append(key)

    def forget(self, dependency: Hashable) -> None:
        """Drop every reply made from `dependency`."""
        for key in self._keys.pop(dependency, ()):
            self.entries.pop(key, None)

    def _drop_older_half(self) -> None:
        for key in list(islice(self.entries, self._max_entries // 2)):
            del self.entries[key]
        self._keys = {
            dependency: kept
            for dependency, keys in self._keys.items()
            if (kept := [key for key in keys if key in self.entries])
        }
