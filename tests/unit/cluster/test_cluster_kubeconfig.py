"""Kubeconfig entries come and go without touching anything else."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubesvc.cluster.kubeconfig import Entry, config_files, file_to_write, merge_entry, new_document, remove_entry
from kubesvc.cluster.kubeconfig_files import KubeconfigError, check_file, install, uninstall, write_private

ENTRY = Entry(name="kubesvc-lab", server="https://127.0.0.1:40001", ca_pem=b"PEM", token="secret")


def work_config() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {"colors": True},
        "clusters": [{"name": "work", "cluster": {"server": "https://work.example"}}],
        "users": [{"name": "me", "user": {"token": "mine"}}],
        "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me", "namespace": "team"}}],
        "current-context": "work",
    }


def test_merging_keeps_everything_of_a_persons() -> None:
    merged = merge_entry(work_config(), ENTRY)
    assert [c["name"] for c in merged["contexts"]] == ["work", "kubesvc-lab"]
    assert merged["preferences"] == {"colors": True}
    assert merged["current-context"] == "kubesvc-lab"


def test_merging_twice_is_merging_once() -> None:
    once = merge_entry(work_config(), ENTRY)
    assert merge_entry(once, ENTRY) == once


def test_removing_what_was_merged_restores_the_document() -> None:
    assert remove_entry(merge_entry(work_config(), ENTRY), ENTRY.name, restore="work") == work_config()


def test_a_context_chosen_meanwhile_stays_current() -> None:
    merged = {**merge_entry(work_config(), ENTRY), "current-context": "work"}
    assert remove_entry(merged, ENTRY.name, restore="")["current-context"] == "work"


def test_a_previous_context_that_is_gone_is_not_restored() -> None:
    assert remove_entry(new_document(ENTRY), ENTRY.name, restore="work")["current-context"] == ""


def test_the_explicit_file_wins_over_the_variable_and_the_home() -> None:
    assert config_files("/x", "/a:/b", Path("/h")) == [Path("/x")]
    assert config_files("", "/a::/b:/a", Path("/h")) == [Path("/a"), Path("/b")]
    assert config_files("", "", Path("/h")) == [Path("/h/.kube/config")]


def test_a_new_entry_goes_to_the_first_file_that_exists_else_to_the_last() -> None:
    files = [Path("/a"), Path("/b"), Path("/c")]
    assert file_to_write(files, lambda path: path == Path("/b")) == Path("/b")
    assert file_to_write(files, lambda path: False) == Path("/c")


def test_a_new_file_is_private_and_goes_away_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    context = install(path, ENTRY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert context.created
    uninstall(context)
    assert not path.exists()


def test_a_persons_file_is_as_before_after_up_and_down(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(work_config()))
    context = install(path, ENTRY)
    assert context.previous == "work"
    uninstall(context)
    assert yaml.safe_load(path.read_text()) == work_config()


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text(yaml.safe_dump(work_config()))
    link = tmp_path / "config"
    link.symlink_to(real)
    install(link, ENTRY)
    assert link.is_symlink()
    assert "kubesvc-lab" in real.read_text()


def test_a_file_that_is_not_yaml_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{unclosed")
    with pytest.raises(KubeconfigError, match="left alone"):
        install(path, ENTRY)
    assert path.read_text() == "{unclosed"
    assert not (tmp_path / "config.lock").exists()


def test_removing_from_a_file_that_is_gone_is_fine(tmp_path: Path) -> None:
    context = install(tmp_path / "config", ENTRY)
    (tmp_path / "config").unlink()
    uninstall(context)


def test_a_components_kubeconfig_is_json_and_private(tmp_path: Path) -> None:
    path = tmp_path / "k" / "proxy.yaml"
    write_private(path, ENTRY)
    assert json.loads(path.read_text())["users"][0]["user"] == {"token": "secret"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_folders_made_for_the_file_go_with_it_when_nothing_else_is_in_them(tmp_path: Path) -> None:
    context = install(tmp_path / "home" / ".kube" / "config", ENTRY)
    uninstall(context)
    assert list(tmp_path.iterdir()) == []
    context = install(tmp_path / "home" / ".kube" / "config", ENTRY)
    (tmp_path / "home" / "mine").touch()
    uninstall(context)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mine"]


@pytest.mark.parametrize("content", ["{unclosed", "- a list", "contexts: {a: 1}", "users: [text]", "\0"])
def test_a_file_that_cannot_take_the_entry_is_refused_beforehand(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(KubeconfigError, match="left alone"):
        check_file(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["config"]


def test_a_place_that_takes_no_file_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "config", tmp_path / "file" / ".kube" / "config", Path("/proc/x")):
        with pytest.raises(KubeconfigError, match="kubeconfig /"):
            check_file(path)


def test_a_check_changes_nothing(tmp_path: Path) -> None:
    check_file(tmp_path / "config")
    check_file(tmp_path / ".kube" / "config")
    assert list(tmp_path.iterdir()) == []
