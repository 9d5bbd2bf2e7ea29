"""A key is left alone until its own writes have come back."""

from kubesvc.api.resources import PODS, SERVICES, Key, revision_of
from kubesvc.api.views import ObjectMeta
from kubesvc.controllers.ownwrites import OwnWrites, Waiter, Write

POD = Key("default", "p")
KEY: Waiter = ("controller", "key")


def meta(revision: int, *, uid: str = "", deletion_timestamp: str | None = None) -> ObjectMeta:
    return ObjectMeta(
        name="p",
        namespace="default",
        uid=uid,
        resource_version=str(revision),
        deletion_timestamp=deletion_timestamp,
    )


def writes() -> tuple[OwnWrites, list[Waiter]]:
    settled: list[Waiter] = []
    return OwnWrites(settled.append), settled


def test_a_write_is_seen_at_its_revision_or_later() -> None:
    own, settled = writes()
    own.wrote(KEY, Write(PODS, POD, 10))
    own.saw(PODS, POD, meta(9))
    assert own.is_waiting(KEY)
    own.saw(PODS, POD, meta(11))
    assert (own.is_waiting(KEY), settled) == (False, [KEY])


def test_all_of_a_batch_must_be_seen() -> None:
    own, settled = writes()
    own.wrote(KEY, Write(PODS, POD, 10))
    own.wrote(KEY, Write(SERVICES, POD, 11))
    own.saw(PODS, POD, meta(10))
    assert settled == []
    own.saw(SERVICES, POD, meta(11))
    assert settled == [KEY]


def test_a_deletion_is_seen_as_absence_mark_or_another_object() -> None:
    write = Write(PODS, POD, 0, "uid-1")
    assert write.is_shown_by(None)
    assert write.is_shown_by(meta(5, uid="uid-1", deletion_timestamp="2026-01-01T00:00:00Z"))
    assert write.is_shown_by(meta(5, uid="uid-2"))
    assert not write.is_shown_by(meta(5, uid="uid-1"))


def test_a_created_object_that_is_deleted_again_holds_nothing_up() -> None:
    own, settled = writes()
    own.wrote(KEY, Write(PODS, POD, 10))
    own.saw(PODS, POD, None)
    assert settled == [KEY]


def test_other_objects_and_waiters_do_not_matter() -> None:
    own, settled = writes()
    own.wrote(KEY, Write(PODS, POD, 10))
    own.saw(PODS, Key("default", "q"), meta(20))
    own.wrote(("controller", "other"), Write(PODS, POD, 30))
    own.saw(PODS, POD, meta(20))
    assert settled == [KEY]


def test_giving_up_forgets() -> None:
    own, settled = writes()
    own.wrote(KEY, Write(PODS, POD, 10))
    own.give_up(KEY)
    own.saw(PODS, POD, meta(10))
    assert (own.is_waiting(KEY), settled) == (False, [])


def test_a_revision_that_is_no_number_never_waits() -> None:
    assert (revision_of("12"), revision_of("abc"), revision_of("")) == (12, 0, 0)
