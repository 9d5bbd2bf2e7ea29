"""The state of the store without a medium: revisions, checks, history."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.store.mvcc import Mvcc
from kubesvc.store.types import ABSENT, Compacted, EventType, Revision, RevisionMismatch, Write


def body(text: str = "") -> bytes:
    return b'{"kind":"X","apiVersion":"v1","metadata":{"name":"x"},"text":"%s"}' % text.encode()


def put(mvcc: Mvcc, key: str, text: str = "") -> Revision:
    current = mvcc.latest(key)
    staged = mvcc.stage([Write(key, body(text), current.revision if current else ABSENT)])
    mvcc.apply(staged)
    return mvcc.revision


def drop(mvcc: Mvcc, key: str) -> Revision:
    current = mvcc.latest(key)
    assert current
    mvcc.apply(mvcc.stage([Write(key, None, current.revision)]))
    return mvcc.revision


def test_a_value_carries_its_own_revision() -> None:
    mvcc = Mvcc()
    put(mvcc, "a/x")
    revision = put(mvcc, "a/x", "second")
    record = mvcc.get("a/x")
    assert record
    assert json.loads(record.value)["metadata"] == {"resourceVersion": str(revision), "name": "x"}


def test_a_create_of_something_that_exists_is_refused_and_stages_nothing() -> None:
    mvcc = Mvcc()
    put(mvcc, "a/x")
    with pytest.raises(RevisionMismatch) as caught:
        mvcc.stage([Write("a/new", body()), Write("a/x", body())])
    assert (caught.value.key, caught.value.actual) == ("a/x", 1)
    assert mvcc.latest("a/new") is None


def test_a_staged_write_is_checked_against_but_not_read() -> None:
    mvcc = Mvcc()
    mvcc.stage([Write("a/x", body())])
    assert mvcc.get("a/x") is None
    with pytest.raises(RevisionMismatch):
        mvcc.stage([Write("a/x", body())])
    mvcc.abandon()
    assert mvcc.latest("a/x") is None


def test_a_deletion_shows_the_last_state_at_its_own_revision() -> None:
    mvcc = Mvcc()
    put(mvcc, "a/x", "last")
    revision = drop(mvcc, "a/x")
    (event,) = mvcc.events_after("a/", Revision(1))
    assert event.type is EventType.DELETED
    assert json.loads(event.record.value)["metadata"]["resourceVersion"] == str(revision)
    assert json.loads(event.frame)["object"]["text"] == "last"


def test_a_list_is_in_key_order_and_pages_continue_after_a_key() -> None:
    mvcc = Mvcc()
    for name in ("a/n2/b", "a/n1/z", "b/n1/q", "a/n2/a"):
        put(mvcc, name)
    page = mvcc.list("a/", limit=2)
    assert ([r.key for r in page.records], page.remaining) == (["a/n1/z", "a/n2/a"], 1)
    assert [r.key for r in mvcc.list("a/", after="a/n2/a").records] == ["a/n2/b"]
    assert [r.key for r in mvcc.list("a/n2/").records] == ["a/n2/a", "a/n2/b"]


def test_a_list_at_an_older_revision_undoes_what_came_later() -> None:
    mvcc = Mvcc()
    put(mvcc, "a/kept", "old")
    then = put(mvcc, "a/gone")
    put(mvcc, "a/kept", "new")
    drop(mvcc, "a/gone")
    put(mvcc, "a/later")
    page = mvcc.list("a/", revision=then)
    assert [(r.key, json.loads(r.value)["text"]) for r in page.records] == [("a/gone", ""), ("a/kept", "old")]
    assert page.revision == then


def test_history_is_bounded_and_says_so() -> None:
    mvcc = Mvcc(keep_events=2)
    for n in range(5):
        put(mvcc, "a/x", str(n))
    assert len(mvcc.events_after("a/", Revision(3))) == 2
    with pytest.raises(Compacted) as caught:
        mvcc.events_after("a/", Revision(2))
    assert str(caught.value) == "too old resource version: 2 (3)"


def test_garbage_is_what_neither_state_nor_history_needs() -> None:
    mvcc = Mvcc(keep_events=1)
    put(mvcc, "a/x")
    put(mvcc, "a/x")
    drop(mvcc, "a/x")
    put(mvcc, "a/y")
    assert sorted(mvcc.take_garbage()) == [1, 2, 3]
    assert mvcc.take_garbage() == []


_steps = st.lists(st.tuples(st.sampled_from(["a/1", "a/2", "b/1"]), st.booleans()), max_size=40)


@given(_steps, st.integers(1, 6))
def test_replaying_the_rows_that_are_not_garbage_gives_the_same_state(steps: list[tuple[str, bool]], keep: int) -> None:
    mvcc = Mvcc(keep_events=keep)
    rows: dict[Revision, tuple[Revision, str, bytes | None]] = {}
    for key, wants_delete in steps:
        current = mvcc.latest(key)
        value = None if wants_delete else body()
        if current is None and value is None:
            continue
        staged = mvcc.stage([Write(key, value, current.revision if current else ABSENT)])
        rows |= {row[0]: row for row in staged.rows}
        mvcc.apply(staged)
        for revision in mvcc.take_garbage():
            del rows[revision]
    again = Mvcc(keep_events=keep)
    again.replay(sorted(rows.values()), compacted=mvcc.compacted, revision=mvcc.revision)
    assert again.list("").records == mvcc.list("").records
    assert again.revision == mvcc.revision
    assert again.events_after("", mvcc.compacted) == mvcc.events_after("", mvcc.compacted)
