"""What `up` tells of a role that does not start."""

import logging
from pathlib import Path

import pytest

from kubesvc import observe
from kubesvc.apiserver.options import CannotStart
from kubesvc.cluster.ledger import ClusterError, StateDirectory
from kubesvc.cluster.records import Record, write_records
from kubesvc.cluster.troubles import check_roles, last_error, log_end


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    monkeypatch.setenv("KUBESVC_HOME", str(tmp_path))
    directory = StateDirectory("lab")
    directory.log("x").parent.mkdir(parents=True)
    return directory


def line(message: str, **fields: object) -> str:
    pairs = "".join(f" {name}={observe.logfmt_value(value)}" for name, value in fields.items())
    return f"2026-11-22T13:00:00.123Z level=error component=apiserver msg={observe.logfmt_value(message)}{pairs}\n"


def test_the_last_error_is_quoted_with_its_hint(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        line("cannot start", error="old") + line("cannot start", error='"x" is no database', hint="move it away")
    )
    assert last_error(log) == ('"x" is no database', "move it away")


def test_without_an_error_line_the_last_one_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_error(log) == ("it logged nothing", "")
    log.write_text("Traceback\nKeyError: 1\n")
    assert last_error(log) == ("KeyError: 1", "")


def test_a_role_that_keeps_dying_is_reported_once_it_is_hopeless(state: StateDirectory) -> None:
    state.log("apiserver").write_text(line("cannot start", error="no database"))
    write_records(state, {"apiserver": Record(0, 0, failures=2)})
    check_roles(state)
    write_records(state, {"apiserver": Record(0, 0, failures=3)})
    with pytest.raises(ClusterError, match="apiserver of cluster 'lab' has died 3 times: no database"):
        check_roles(state)


@pytest.mark.parametrize(
    ("err", "traceback"),
    [(CannotStart("no database", "move it away"), False), (KeyError("odd"), True)],
)
def test_a_refusal_is_one_line_and_a_defect_shows_where(
    err: Exception, traceback: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = logging.getLogger("kubesvc")
    before = root.handlers[:], root.propagate, root.level
    try:
        observe.configure("apiserver")
        log_end("apiserver", ExceptionGroup("several", [err]))
    finally:
        root.handlers[:], root.propagate, root.level = before
    said = capsys.readouterr().err
    assert (len(said.splitlines()) > 1) == traceback
    (tmp_path / "log").write_text(said)
    assert str(err) in last_error(tmp_path / "log")[0]
