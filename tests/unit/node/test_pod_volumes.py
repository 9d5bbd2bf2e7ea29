"""Volumes: which files they hold, how they change on disk."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubesvc.api.views import ConfigMap, Container, Pod, Secret, Volume
from kubesvc.node.downward import PodFacts
from kubesvc.node.environment import Sources
from kubesvc.node.volumefiles import write_volume
from kubesvc.node.volumes import (
    TOKEN_DIRECTORY,
    File,
    Token,
    VolumeError,
    container_mounts,
    projected_files,
    wanted_tokens,
    with_token_volume,
)
from kubesvc.testing import builders

FACTS = PodFacts("10.244.1.5", "192.0.2.11", {})
SOURCES = Sources(
    {
        "site": msgspec.convert(
            {"metadata": {}, "data": {"index.html": "hi", "b": "2"}, "binaryData": {"c": "AP8="}}, ConfigMap
        )
    },
    {"door": msgspec.convert({"metadata": {}, "data": {"key": "c2VzYW1l"}}, Secret)},
)


def volume(**source: Any) -> Volume:
    return msgspec.convert({"name": "v", **source}, Volume)


def pod(**spec: Any) -> Pod:
    return msgspec.convert(builders.pod("web", labels={"app": "web", "tier": "front"}, **spec), Pod)


def files(**source: Any) -> Any:
    tokens = dict.fromkeys(wanted_tokens([volume(**source)]), "the-token")
    return projected_files(pod(), volume(**source), SOURCES, FACTS, tokens)


def test_a_config_map_becomes_one_file_per_key() -> None:
    assert files(configMap={"name": "site", "defaultMode": 0o600}) == {
        "index.html": File(b"hi", 0o600),
        "b": File(b"2", 0o600),
        "c": File(b"\x00\xff", 0o600),
    }


def test_items_choose_keys_paths_and_modes() -> None:
    items = [{"key": "key", "path": "deep/down", "mode": 0o400}]
    assert files(secret={"secretName": "door", "items": items}) == {"deep/down": File(b"sesame", 0o400)}


def test_a_missing_object_or_key_is_an_error_unless_optional() -> None:
    with pytest.raises(VolumeError, match='configmap "none" not found'):
        files(configMap={"name": "none"})
    with pytest.raises(VolumeError, match="non-existent config key: nope"):
        files(configMap={"name": "site", "items": [{"key": "nope", "path": "p"}]})
    assert files(configMap={"name": "none", "optional": True}) == {}


@pytest.mark.parametrize("path", ["../out", "/abs", "a/../../b", ""])
def test_no_path_leaves_its_volume(path: str) -> None:
    with pytest.raises(VolumeError, match="must be relative"):
        files(configMap={"name": "site", "items": [{"key": "b", "path": path}]})


def test_the_downward_api_writes_labels_one_a_line() -> None:
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    assert files(downwardAPI={"items": items})["labels"].data == b'app="web"\ntier="front"'


def test_a_projected_volume_gathers_its_sources() -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
        {"configMap": {"name": "site", "items": [{"key": "b", "path": "two"}]}},
        {"secret": {"name": "door"}},
    ]
    found = files(projected={"sources": sources, "defaultMode": 0o440})
    assert {name: file.data for name, file in found.items()} == {"token": b"the-token", "two": b"2", "key": b"sesame"}
    assert wanted_tokens([volume(projected={"sources": sources})]) == [Token("token", "", 600)]


def test_directories_are_no_projected_files() -> None:
    assert files(emptyDir={}) is None


def test_mounts_name_host_paths_with_their_sub_paths() -> None:
    mounts = [
        {"name": "v", "mountPath": "/data", "subPath": "a/b"},
        {"name": "v", "mountPath": "/all", "readOnly": True},
    ]
    container = msgspec.convert({"name": "main", "volumeMounts": mounts}, Container)
    assert container_mounts(container, {"v": "/host/v"}, {}) == [
        ("/host/v/a/b", "/data", False),
        ("/host/v", "/all", True),
    ]
    with pytest.raises(VolumeError, match='volume "v" of container main not found'):
        container_mounts(container, {}, {})


def test_every_pod_gets_its_accounts_token_unless_it_declines_or_has_it() -> None:
    mounted = builders.pod("web")
    mounted["spec"]["containers"][0]["volumeMounts"] = [{"name": "own", "mountPath": TOKEN_DIRECTORY}]
    volumes, mount = with_token_volume(pod(), automount=True)
    assert mount is not None
    assert mount.mount_path == TOKEN_DIRECTORY
    assert [each.name for each in volumes] == [mount.name]
    assert with_token_volume(pod(automountServiceAccountToken=False), automount=True) == ((), None)
    assert with_token_volume(pod(), automount=False) == ((), None)
    assert with_token_volume(msgspec.convert(mounted, Pod), automount=True)[1] is None


def test_a_volume_changes_all_at_once(tmp_path: Path) -> None:
    target = tmp_path / "volume"
    assert write_volume(target, {"a": File(b"1"), "deep/b": File(b"2", 0o600)})
    first = (target / "..data").readlink()
    assert not write_volume(target, {"a": File(b"1"), "deep/b": File(b"2", 0o600)})

    assert write_volume(target, {"a": File(b"one"), "c": File(b"3")})

    assert (target / "..data").readlink() != first
    assert sorted(entry.name for entry in target.iterdir() if not entry.name.startswith("..")) == ["a", "c"]
    assert (target / "a").read_bytes() == b"one"
    assert len([entry for entry in target.iterdir() if entry.is_dir() and not entry.is_symlink()]) == 1
