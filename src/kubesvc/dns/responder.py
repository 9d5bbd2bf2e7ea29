"""Questions in, answers out: the deciding half of the server.

The path of nearly every query is one dict: from the lower-cased query (all but its ID) to a
finished reply. What is not there is parsed, looked up, encoded once, and remembered until
something it rests on changes. Names that lie outside are handed back to be asked elsewhere.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import repeat
from typing import NamedTuple

from kubesvc.dns import records, wire
from kubesvc.dns.answers import Resolution
from kubesvc.dns.autopath import walk
from kubesvc.dns.hosts import Hosts
from kubesvc.dns.lookup import Finding, find, zone_of
from kubesvc.dns.memo import Entry, Memo
from kubesvc.dns.query import Query, Rejection, parse_query
from kubesvc.dns.records import Record
from kubesvc.dns.reply import Reply, compose
from kubesvc.dns.rewrite import Rewrite, rewritten
from kubesvc.dns.rows import Row
from kubesvc.dns.tally import Tallies, Way
from kubesvc.dns.view import View
from kubesvc.dns.wire import Rcode, Type

_ZONE_TRANSFERS = (Type.AXFR, Type.IXFR)


class Outside(StrEnum):
    """What names outside of our zones get when there is no upstream to ask."""

    NXDOMAIN = "nxdomain"
    REFUSED = "refused"
    SERVFAIL = "servfail"


class Pending(NamedTuple):
    """A question that only an upstream can answer.

    `name` is what to ask it: the question's own as `rewritten`, or where the CNAMEs in `finding` lead.
    """

    query: Query
    name: bytes
    limit: int
    finding: Finding
    rewritten: bytes
    way: int


class Responder:
    """Answers from a View. One per process that answers; not thread-safe.

    `forwarded` are the zones that there is someone to ask about (the root, where that is everything),
    each with those below it that are not to be asked about. `tallies` are those of a Responder whose
    place this one takes.
    """

    def __init__(
        self,
        view: View,
        *,
        forwarded: Sequence[tuple[bytes, Sequence[bytes]]] = (),
        outside: Outside = Outside.NXDOMAIN,
        rewrites: tuple[Rewrite, ...] = (),
        autopath: bool = False,
        tallies: Tallies | None = None,
    ) -> None:
        self.view = view
        self.synced = False
        self.tallies = tallies or Tallies()
        self._forwarded = forwarded
        self._rewrites = rewrites
        self._autopath = autopath
        self._hosts = Hosts()
        self._outside = outside
        self._memo = Memo()
        self._known = self._memo.known
        self._denied = self._memo.denied
        self._denials: dict[tuple[bytes, int, bytes], tuple[Iterator[bytes], int]] = {}
        self._turn = 0

    def apply(self, row: Row | bytes) -> None:
        """Take in a change, packed or not; the next answer to any name it touches shows it."""
        for dependency in self.view.apply(row):
            self._memo.forget(dependency)

    def use_hosts(self, hosts: Hosts) -> None:
        """Answer the names of `hosts` from now on, before all others."""
        self._hosts = hosts
        self._memo.clear()

    def answer(self, message: bytes, way: int = Way.UDP4) -> bytes | Pending | None:
        """Answer a datagram: the reply, None for silence, or what must be asked upstream."""
        key = message[2:].lower()
        entry = self._known.get(key) or self._denied.get(key)
        if entry is None:
            return self._work_out(message, way)
        entry.tally.counts[way] += 1
        return b"".join((message[:2], entry.head, message[12 : entry.question_end], next(entry.bodies)))

    def answer_stream(self, message: bytes, way: int = Way.TCP4) -> bytes | Pending | None:
        """Answer a message that came by TCP, where only 64 KiB limit the reply."""
        key = message[2:].lower()
        entry = self._known.get(key) or self._denied.get(key)
        if entry is None:
            return self._work_out(message, way)
        entry.tally.counts[way] += 1
        return b"".join((message[:2], entry.head, message[12 : entry.question_end], next(entry.bodies)))

    def complete(self, pending: Pending, resolution: Resolution) -> bytes:
        """The reply to a question that had to be asked upstream."""
        query = pending.query
        flags = wire.FLAG_RA | (wire.FLAG_AD if resolution.authentic and not pending.finding.records else 0)
        self.tallies.of(b"", query.qtype, resolution.rcode).counts[pending.way] += 1
        return compose(
            query,
            rcode=resolution.rcode,
            flags=flags,
            limit=pending.limit,
            answers=_renamed(pending.finding.records + resolution.answers, pending.rewritten, query.name),
            authority=resolution.authority,
        ).to(query)

    def give_up(self, pending: Pending) -> bytes:
        """What is known of a question whose upstream does not answer: the CNAMEs, and SERVFAIL."""
        return self.complete(pending, Resolution(Rcode.SERVFAIL))

    def fail(self, message: bytes, way: int = Way.UDP4) -> bytes | None:
        """SERVFAIL, for a message that could not be answered through a fault of ours."""
        query = parse_query(message)
        return query.response if isinstance(query, Rejection) else self._short(query, b"", Rcode.SERVFAIL, way)

    def _work_out(self, message: bytes, way: int) -> bytes | Pending | None:
        query = parse_query(message)
        if isinstance(query, Rejection):
            if query.response is not None:
                self.tallies.of(b"", 0, query.rcode).counts[way] += 1
            return query.response
        limit = min(query.payload, wire.UDP_EDNS_LIMIT) if way < Way.TCP4 else wire.MAX_MESSAGE
        if query.qclass != wire.IN or query.qtype in _ZONE_TRANSFERS or query.qtype == Type.OPT:
            return self._short(query, b"", Rcode.REFUSED, way)
        name = rewritten(self._rewrites, query.name)
        finding = self._find(name, query.qtype)
        if finding is None:
            return self._short(query, zone_of(self.view, name), Rcode.SERVFAIL, way)
        if self._is_for_upstream(finding, name):
            return Pending(query, finding.chase or name, limit, finding, name, way)
        return self._from_finding(message, query, name, finding, limit, way)

    def _find(self, name: bytes, qtype: int) -> Finding | None:
        """What is known about the name; None while that is not to be said yet."""
        fixed = self._hosts.find(name, qtype)
        if fixed is not None:
            return Finding(wire.ROOT, True, fixed)
        if not self.synced and zone_of(self.view, name):
            return None
        finding = find(self.view, name, qtype)
        if self._autopath and not finding.exists and finding.zone == self.view.domain:
            finding = self._walk(name, qtype, finding)
        return self._with_hosts(finding, qtype) if finding.chase else finding

    def _with_hosts(self, finding: Finding, qtype: int) -> Finding:
        """What a name of ours leads to may be one of the fixed names."""
        fixed = self._hosts.find(finding.chase, qtype)
        if fixed is None:
            return finding
        return finding._replace(exists=True, records=finding.records + fixed, chase=b"")

    def _walk(self, name: bytes, qtype: int, denied: Finding) -> Finding:
        """What the rest of the client's search list leads to, if that can be said here."""
        found = walk(self.view, name, qtype, denied)
        if found.chase and not self._is_forwarded(found.chase):
            return denied._replace(depends=found.depends)
        return found

    def _is_for_upstream(self, finding: Finding, name: bytes) -> bool:
        if finding.chase:
            return self._is_forwarded(finding.chase)
        # Reverse names that are not the cluster's fall through to whoever knows the rest of the world.
        is_ours = finding.zone in (self.view.domain, wire.ROOT) or (finding.exists and bool(finding.depends))
        return not is_ours and self._is_forwarded(name)

    def _is_forwarded(self, name: bytes) -> bool:
        return any(
            wire.is_within(name, zone) and not any(wire.is_within(name, inner) for inner in excepted)
            for zone, excepted in self._forwarded
        )

    def _from_finding(self, message: bytes, query: Query, name: bytes, finding: Finding, limit: int, way: int) -> bytes:
        if not finding.zone and self._outside is not Outside.NXDOMAIN:
            return self._short(query, b"", Rcode[self._outside.name], way)
        # With no upstream, what a CNAME points to outside is simply not said.
        rcode = Rcode.NOERROR if finding.exists or finding.chase else Rcode.NXDOMAIN
        if not finding.records and name == query.name:
            reply = self._denial(query, finding.zone, rcode)
        else:
            self._turn += 1
            is_complete = bool(finding.chase) or _is_final(finding, query.qtype)
            reply = compose(
                query,
                rcode=rcode,
                flags=wire.FLAG_AA | self._available,
                limit=limit,
                answers=_renamed(finding.records, name, query.name),
                authority=() if is_complete else (self._soa(finding.zone),),
                additional=finding.additional,
                turn=self._turn,
            )
        tally = self.tallies.of(finding.zone, query.qtype, rcode)
        tally.counts[way] += 1
        if not reply.cut and _is_keyed_by(query, message, reply.size):
            end = wire.HEADER_SIZE + len(query.question)
            entry = Entry(reply.head, end, reply.bodies, tally, finding.depends, reply.room)
            keep = self._memo.keep_denial if rcode == Rcode.NXDOMAIN else self._memo.keep
            keep(message[2:].lower(), entry)
        return reply.to(query)

    def _denial(self, query: Query, zone: bytes, rcode: int) -> Reply:
        """NXDOMAIN or NODATA, put together from finished parts: of all answers the cheapest.

        Any client accepts 512 bytes, and question, SOA and OPT together stay below that.
        """
        offset, option = wire.HEADER_SIZE + len(query.name) - (len(zone) or 1), query.option
        finished = self._denials.get((zone, offset, option))
        if finished is None:
            body = self._soa(zone).encode(wire.Compressor(zone or wire.ROOT, starts_at=offset)) + option
            finished = self._denials[zone, offset, option] = (repeat(body), len(body))
        bodies, size = finished
        flags = query.echoed_flags | wire.FLAG_AA | self._available | rcode
        head = wire.header_bytes(flags, authorities=1, additionals=int(bool(option)))
        return Reply(head, bodies, wire.HEADER_SIZE + len(query.question) + size, room=0)

    @property
    def _available(self) -> int:
        return wire.FLAG_RA if self._forwarded else 0

    def _soa(self, zone: bytes) -> Record:
        policy = self.view.policy
        return records.soa(zone or wire.ROOT, policy.ttl, primary=self.view.ns_name, serial=policy.serial)

    def _short(self, query: Query, zone: bytes, rcode: Rcode, way: int) -> bytes:
        self.tallies.of(zone, query.qtype, rcode).counts[way] += 1
        return compose(query, rcode=rcode, flags=self._available, limit=wire.MAX_MESSAGE).to(query)


def _renamed(found: tuple[Record, ...], name: bytes, asked: bytes) -> tuple[Record, ...]:
    """The records at `name` as the asker expects them, who knows that name as `asked`."""
    if name == asked:
        return found
    return tuple(r._replace(owner=asked) if r.owner == name else r for r in found)


def _is_final(finding: Finding, qtype: int) -> bool:
    return bool(finding.records) and (finding.records[-1].type != Type.CNAME or qtype in (Type.CNAME, Type.ANY))


def _is_keyed_by(query: Query, message: bytes, reply_size: int) -> bool:
    """Whether the lower-cased message stands for this query alone, and the reply suits all who send it.

    Keys are lower-cased whole, number bytes too: a query that has a letter's value in one of those
    could be taken for another, and is worked out each time.
    """
    tail = message[wire.HEADER_SIZE + len(query.name) :]
    return (
        query.plain and tail == tail.lower() == tail.upper() and reply_size <= min(query.payload, wire.UDP_EDNS_LIMIT)
    )
