"""100,000 names that do not exist: bounded memory, and the names that do keep their answers."""

import random
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import dns.message

from kubesvc.dns import wire
from kubesvc.dns.memo import MAX_DENIED, MAX_ROOM
from kubesvc.dns.responder import Responder
from kubesvc.dns.rows import ServiceRow, SliceRow
from kubesvc.dns.view import View
from kubesvc.dns.wire import Type
from kubesvc.testing.builders import namespace, service

FLOOD = 100_000
SERVED = 50
TRACED = 20_000
SUFFIXES = (
    "default.svc.cluster.local",  # an existing namespace
    "pod.cluster.local",
    "svc.cluster.local",  # a namespace of its own each time
    "example.com.default.svc.cluster.local",  # what search lists make of foreign names
    "example.com",
)  # fmt: skip


def flood(count: int) -> list[bytes]:
    draw = random.Random(7)
    return [
        wire.encode_query(
            n & 0xFFFF, wire.name_from_text(f"x{draw.getrandbits(60):x}.{SUFFIXES[n % len(SUFFIXES)]}"), Type.A
        )
        for n in range(count)
    ]


def test_a_flood_of_random_names_is_bounded_and_costs_no_other_name_its_answer(
    make_server: Callable[..., Any],
) -> None:
    server = make_server()
    server.put(
        namespace("default"), *(service(f"web-{n}", cluster_ip=f"10.96.1.{n}") for n in range(SERVED))
    )  # fmt: skip
    wanted = [
        dns.message.make_query(f"web-{n}.default.svc.cluster.local", "A", id=n).to_wire() for n in range(SERVED)
    ]  # fmt: skip
    expected = [server.raw(query) for query in wanted]
    memo = server.responder._memo
    known = set(memo.known)
    queries = flood(FLOOD)
    for query in queries[:-TRACED]:
        reply = server.raw(query)
        assert reply[3] & 0xF == wire.Rcode.NXDOMAIN
    tallies = len(server.responder.tallies.all())
    tracemalloc.start()
    for number, query in enumerate(queries[-TRACED:]):
        server.raw(query)
        if number % 100 == 0:
            at = number // 100 % SERVED
            assert server.raw(wanted[at]) == expected[at]
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The newest denials are new memory, in the place of older ones: about 400 bytes each.
    assert grown < MAX_DENIED * 1024
    assert len(memo.denied) <= MAX_DENIED
    assert len(memo._keys) <= MAX_DENIED + len(memo.known)
    assert len(server.responder.tallies.all()) == tallies
    assert known <= set(memo.known)
    assert [server.raw(query) for query in wanted] == expected


def test_one_large_answer_asked_for_in_very_many_ways_takes_bounded_memory() -> None:
    responder = Responder(View())
    responder.synced = True
    responder.apply(ServiceRow("default", "web", headless=True))
    responder.apply(SliceRow("default", "web", "web-1", tuple(bytes((10, 0, 0, n)) for n in range(60))))
    question = wire.name_from_text("web.default.svc.cluster.local") + wire.pack16(Type.A, wire.IN)
    tracemalloc.start()
    for payload in range(wire.UDP_EDNS_LIMIT, wire.UDP_EDNS_LIMIT + 20_000):
        header = struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 1)
        reply = responder.answer(header + question + wire.opt_record(payload=payload))
        assert isinstance(reply, bytes)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    memo = responder._memo
    assert 0 < len(memo.known) < 20_000
    assert MAX_ROOM // 2 < memo.room < MAX_ROOM + 16_384
    assert grown < MAX_ROOM * 5 // 4
    responder.apply(ServiceRow("default", "web"))
    assert (memo.room, len(memo.known), len(memo._keys)) == (0, 0, 0)
