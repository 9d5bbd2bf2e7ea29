"""A DNS server without sockets, filled with API documents, asked and read through dnspython."""

from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import msgspec
import pytest

from kubesvc.dns import objects, parse, rows
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.view import Policy, View

Document = dict[str, Any]
SOA = "cluster.local. 5 IN SOA kube-dns.kube-system.svc.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5"


class Answer:
    """A reply as its reader sees it: rcode, and each section as sorted zone-file lines."""

    def __init__(self, message: dns.message.Message, size: int) -> None:
        self.message = message
        self.size = size
        self.rcode = dns.rcode.to_text(message.rcode())
        self.flags = set(dns.flags.to_text(message.flags).split())
        self.answer = lines(message.answer)
        self.authority = lines(message.authority)
        self.additional = lines(message.additional)

    @property
    def truncated(self) -> bool:
        return "TC" in self.flags


def lines(section: list[dns.rrset.RRset]) -> list[str]:
    """Every record as a line, in canonical order, a single space between fields."""
    return sorted(line for rrset in section for line in rrset.to_text().splitlines())


class Server:
    """The deciding half of a DNS server, and ways to change its cluster."""

    def __init__(self, **policy: Any) -> None:
        self.responder = Responder(View(Policy(**policy)))
        self.responder.synced = True

    def put(self, *documents: Document) -> None:
        for document in documents:
            self.responder.apply(_row(document))

    def remove(self, document: Document) -> None:
        meta = document["metadata"]
        match document["kind"]:
            case "Service":
                self.responder.apply(rows.ServiceGone(meta["namespace"], meta["name"]))
            case "EndpointSlice":
                service = meta["labels"][rows.SERVICE_NAME_LABEL]
                self.responder.apply(rows.SliceGone(meta["namespace"], service, meta["name"]))
            case "Namespace":
                self.responder.apply(rows.NamespaceRow(meta["name"], exists=False))

    def raw(self, message: bytes, *, tcp: bool = False) -> bytes | None:
        reply = self.responder.answer_stream(message) if tcp else self.responder.answer(message)
        assert not isinstance(reply, Pending)
        return reply

    def ask(self, name: str, qtype: str = "A", *, tcp: bool = False, **query: Any) -> Answer:
        """Ask twice, so that the remembered reply is checked against the one worked out."""
        asked = dns.message.make_query(name, qtype, **query)
        first, second = self._read(asked, tcp=tcp), self._read(asked, tcp=tcp)
        if not first.truncated:
            assert (first.rcode, first.answer, first.authority) == (second.rcode, second.answer, second.authority)
        return second

    def read(self, reply: bytes) -> Answer:
        """A reply that was made elsewhere."""
        return Answer(dns.message.from_wire(reply), len(reply))

    def _read(self, asked: dns.message.Message, *, tcp: bool) -> Answer:
        reply = self.raw(asked.to_wire(), tcp=tcp)
        assert reply is not None
        message = dns.message.from_wire(reply)
        assert asked.is_response(message)
        return Answer(message, len(reply))


def _row(document: Document) -> rows.Row:
    match document["kind"]:
        case "Service":
            return parse.service_row(msgspec.convert(document, objects.Service))
        case "EndpointSlice":
            row = parse.slice_row(msgspec.convert(document, objects.EndpointSlice))
            assert row is not None
            return row
        case "Namespace":
            return rows.NamespaceRow(document["metadata"]["name"])
        case "Pod":
            return parse.pod_row(msgspec.convert(document, objects.Pod))
        case kind:
            raise AssertionError(kind)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def make_server() -> Callable[..., Server]:
    return Server
