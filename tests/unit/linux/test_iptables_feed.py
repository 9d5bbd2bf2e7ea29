"""A program that takes one restore after the other: what it answers, what it refuses, and when it is not one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubesvc.linux.iptables_feed import FeedUnusable, Refused, RestoreFeed

OBEDIENT = """
while read -r line; do
  case "$line" in
    "#"*) echo "$line";;
    bad*) echo "line $line: no such thing" >&2; exit 2;;
    talk*) echo "waiting for the lock" >&2;;
  esac
done
"""


@contextmanager
def feed(script: str) -> Iterator[RestoreFeed]:
    made = RestoreFeed(["sh", "-c", script, "sh"])
    try:
        yield made
    finally:
        made.close()


def test_each_restore_returns_once_the_program_has_read_it() -> None:
    with feed(OBEDIENT) as program:
        program.start()
        for text in ("", "one\n", "two\nthree\n", "talk\n"):
            program.restore(text)


def test_a_restore_larger_than_any_pipe_goes_through() -> None:
    with feed("while IFS= read -r line; do case $line in '#'*) echo \"$line\";; esac; done") as program:
        program.start()
        program.restore("x" * 70 + "\n" * 20_000)


def test_a_refusal_has_the_programs_own_words_and_the_next_restore_another_program() -> None:
    with feed(OBEDIENT) as program:
        program.start()
        with pytest.raises(Refused, match="line bad: no such thing"):
            program.restore("one\nbad\ntwo\n")
        with pytest.raises(Refused):
            program.restore("one\n")
        program.start()
        program.restore("one\n")


def test_the_words_before_a_refusal_are_kept() -> None:
    with feed(OBEDIENT) as program:
        program.start()
        with pytest.raises(Refused, match=r"(?s)waiting for the lock.*no such thing"):
            program.restore("talk\nbad\n")


def test_a_program_that_ends_at_once_is_not_one_to_feed() -> None:
    with feed("exit 1") as program, pytest.raises(FeedUnusable):
        program.start()


def test_a_program_that_reads_to_the_end_before_it_answers_is_not_one_to_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubesvc.linux.iptables_feed._PATIENCE_SECONDS", 0.05)
    with feed("cat >/dev/null") as program, pytest.raises(FeedUnusable, match="does not answer"):
        program.start()


def test_nothing_stays_open_when_no_program_can_be_started() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no-such-program"):
        RestoreFeed(["no-such-program"]).start()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_program_that_was_killed_is_replaced() -> None:
    with feed(OBEDIENT.replace("talk*)", "die*) kill -KILL $$;; talk*)")) as program:
        program.start()
        with pytest.raises(Refused):
            program.restore("die\n")
        program.start()
        program.restore("one\n")


def test_a_program_that_has_grown_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with feed(f"echo $$ >> {tmp_path}/pids\n{OBEDIENT}") as program:
        for limit in (1 << 40, 1 << 40, 0, 1 << 40):
            monkeypatch.setattr("kubesvc.linux.iptables_feed._GROWN", limit)
            program.start()
            program.restore("one\n")
        assert len((tmp_path / "pids").read_text().split()) == 2


def test_closing_ends_the_program(tmp_path: Path) -> None:
    with feed(f"echo $$ > {tmp_path}/pid\n{OBEDIENT}") as program:
        program.start()
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
