"""The ledger on disk."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kubesvc.cluster.launch import Wanted, launch
from kubesvc.cluster.ledger import (
    ClusterError,
    Ledger,
    StateDirectory,
    StateError,
    UserContext,
    broken_clusters,
    cluster_names,
    clusters,
    inherited,
    locked_home,
    remove_empty_home,
)
from kubesvc.cluster.teardown import destroy

LEDGER = Ledger(name="lab", node_network="10.89.0.0/24", pool="10.90.0.0/24", node_count=2, api_port=40000)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    monkeypatch.setenv("KUBESVC_HOME", str(tmp_path / "home"))
    directory = StateDirectory("lab")
    directory.root.mkdir(parents=True)
    return directory


def test_what_is_written_is_read_again(state: StateDirectory) -> None:
    context = UserContext(path="/x", context="kubesvc-lab", previous="work", created=False)
    state.write(LEDGER)
    assert state.update(user_contexts=(context,)).user_contexts == (context,)
    assert state.read() == replace(LEDGER, user_contexts=(context,))


def test_a_cluster_that_was_never_made_has_no_ledger(state: StateDirectory) -> None:
    assert StateDirectory("other").read() is None
    assert clusters() == []
    assert cluster_names() == ["lab"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1}', '{"format": 1, "odd": 2}'])
def test_a_strange_ledger_is_refused_with_the_way_out(state: StateDirectory, text: str) -> None:
    state.ledger_file.write_text(text)
    with pytest.raises(StateError, match="kubesvc down"):
        state.read()


def test_an_unreadable_ledger_costs_that_cluster_alone(state: StateDirectory) -> None:
    state.write(LEDGER)
    broken = StateDirectory("broken")
    broken.root.mkdir()
    broken.ledger_file.write_text("{half")
    assert clusters() == [LEDGER]
    assert broken_clusters() == ["broken"]


def test_whichever_cluster_goes_last_restores_what_the_first_had_found() -> None:
    first = UserContext(path="/x", context="kubesvc-a", previous="work", created=True)
    second = UserContext(path="/x", context="kubesvc-b", previous="kubesvc-a", created=False)
    assert inherited(second, first) == replace(second, previous="work", created=True)
    assert inherited(first, second) == first
    elsewhere = replace(second, path="/y")
    assert inherited(elsewhere, first) == elsewhere


def test_an_interrupted_write_leaves_the_old_ledger(state: StateDirectory) -> None:
    state.write(LEDGER)
    (state.root / ".ledger.json.12345").write_text('{"half": ')
    assert state.read() == LEDGER


def test_a_full_or_missing_place_is_one_sentence(state: StateDirectory) -> None:
    with pytest.raises(StateError, match="cannot write .*No such file or directory"):
        StateDirectory("missing").write(LEDGER)


def test_a_home_that_is_a_file_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KUBESVC_HOME", str(tmp_path / "file"))
    with pytest.raises(StateError, match="file") as caught, locked_home():
        pass
    assert "KUBESVC_HOME" in caught.value.hint


def test_removing_a_cluster_that_never_was_leaves_no_home_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBESVC_HOME", str(tmp_path / "home"))
    assert destroy("never-was") is None
    assert not (tmp_path / "home").exists()


def test_a_refused_cluster_leaves_no_home_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBESVC_HOME", str(tmp_path / "home"))
    with pytest.raises(ClusterError, match="--nodes 0"):
        launch(Wanted(name="lab", nodes=0))
    assert not (tmp_path / "home").exists()


def test_the_home_goes_when_nothing_but_its_lock_is_left(state: StateDirectory) -> None:
    with locked_home():
        remove_empty_home()
        assert state.root.exists()
        state.root.rmdir()
        remove_empty_home()
    assert not state.root.parent.exists()
    with locked_home():
        assert state.root.parent.exists()


def test_a_ledger_written_before_there_was_a_choice_is_durable(state: StateDirectory) -> None:
    state.write(LEDGER)
    document = json.loads(state.ledger_file.read_text())
    del document["durability"]
    state.ledger_file.write_text(json.dumps(document))
    assert state.read() == LEDGER
    assert LEDGER.synced
    assert not replace(LEDGER, durability="process").synced


def test_another_durability_than_the_clusters_is_refused(state: StateDirectory) -> None:
    state.write(LEDGER)
    with pytest.raises(ClusterError, match="exists with --durability disk, not process"):
        launch(Wanted(name="lab", durability="process"))
