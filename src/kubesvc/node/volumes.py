"""P: what files a pod's volumes consist of, and where containers mount them (Pod v1 `volumes`)."""

import posixpath
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from kubesvc.api.views import (
    ConfigMapVolumeSource,
    Container,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    KeyToPath,
    ObjectFieldSelector,
    Pod,
    ProjectedVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from kubesvc.node.downward import PodFacts, UnknownField, field_value, resource_value
from kubesvc.node.environment import Sources

DEFAULT_MODE = 0o644
TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"


class VolumeError(Exception):
    """A volume cannot be filled as the pod asks (event FailedMount)."""


class File(NamedTuple):
    """One file of a volume."""

    data: bytes
    mode: int = DEFAULT_MODE


Files = Mapping[str, File]


class Token(msgspec.Struct, frozen=True):
    """A ServiceAccount token to be requested and put into a volume at `path`."""

    path: str
    audience: str
    expiration_seconds: int


def projected_files(
    pod: Pod, volume: Volume, sources: Sources, facts: PodFacts, tokens: Mapping[Token, str]
) -> dict[str, File] | None:
    """The files of a volume that is made from the API's objects; None for any other kind. Raises VolumeError."""
    if volume.config_map:
        mode = volume.config_map.default_mode
        return _config_map_files(volume.config_map, sources, mode, namespace=pod.metadata.namespace)
    if volume.secret:
        secret = volume.secret
        source = ConfigMapVolumeSource(secret.secret_name, secret.items, secret.default_mode, secret.optional)
        return _secret_files(source, sources, secret.default_mode, namespace=pod.metadata.namespace)
    if volume.downward_api:
        return _downward_files(pod, volume.downward_api.items, facts, volume.downward_api.default_mode)
    if volume.projected:
        return _projection(pod, volume.projected, sources, facts, tokens)
    return None


def is_projected(volume: Volume) -> bool:
    """Whether the volume's files are made from the API's objects; containers cannot write to it."""
    return any((volume.config_map, volume.secret, volume.downward_api, volume.projected))


def _projection(
    pod: Pod, volume: ProjectedVolumeSource, sources: Sources, facts: PodFacts, tokens: Mapping[Token, str]
) -> dict[str, File]:
    files: dict[str, File] = {}
    mode, namespace = volume.default_mode, pod.metadata.namespace
    for part in volume.sources or ():
        if part.config_map:
            files |= _config_map_files(part.config_map, sources, mode, namespace=namespace)
        if part.secret:
            files |= _secret_files(part.secret, sources, mode, namespace=namespace)
        if part.downward_api:
            files |= _downward_files(pod, part.downward_api.items, facts, mode)
        if part.service_account_token:
            token = token_of(part.service_account_token)
            files[_checked(token.path)] = File(tokens[token].encode(), mode or 0o600)
    return files


def token_of(source: ServiceAccountTokenProjection) -> Token:
    return Token(source.path, source.audience, source.expiration_seconds)


def wanted_tokens(volumes: Iterable[Volume]) -> list[Token]:
    """The tokens that have to be requested before the volumes can be filled."""
    return [
        token_of(part.service_account_token)
        for volume in volumes
        if volume.projected
        for part in volume.projected.sources or ()
        if part.service_account_token
    ]


def _config_map_files(
    source: ConfigMapVolumeSource, sources: Sources, mode: int | None, *, namespace: str
) -> dict[str, File]:
    found = sources.config_maps.get(source.name)
    data: dict[str, bytes] | None = None
    if found is not None:
        data = {key: value.encode() for key, value in (found.data or {}).items()} | (found.binary_data or {})
    return _keyed_files("configmap", source, data, mode, namespace)


def _secret_files(
    source: ConfigMapVolumeSource, sources: Sources, mode: int | None, *, namespace: str
) -> dict[str, File]:
    found = sources.secrets.get(source.name)
    return _keyed_files("secret", source, None if found is None else found.data or {}, mode, namespace)


def _keyed_files(
    word: str, source: ConfigMapVolumeSource, data: dict[str, bytes] | None, mode: int | None, namespace: str
) -> dict[str, File]:
    if data is None:
        if source.optional:
            return {}
        raise VolumeError(f'{word} "{source.name}" not found')
    if not source.items:
        return {_checked(key): File(value, mode or DEFAULT_MODE) for key, value in data.items()}
    files = {}
    for item in source.items:
        if item.key not in data:
            if source.optional:
                continue
            raise VolumeError(f"{word} references non-existent config key: {item.key} ({namespace}/{source.name})")
        files[_checked(item.path)] = File(data[item.key], _mode(item, mode))
    return files


def _mode(item: KeyToPath, default: int | None) -> int:
    return item.mode if item.mode is not None else default or DEFAULT_MODE


def _downward_files(
    pod: Pod, items: tuple[DownwardAPIVolumeFile, ...] | None, facts: PodFacts, mode: int | None
) -> dict[str, File]:
    files = {}
    for item in items or ():
        try:
            if item.resource_field_ref:
                text = resource_value(pod, pod.spec.containers[0], facts, item.resource_field_ref)
            elif item.field_ref:
                text = field_value(pod, facts, item.field_ref.field_path)
            else:
                continue
        except UnknownField as err:
            raise VolumeError(str(err)) from err
        files[_checked(item.path)] = File(text.encode(), item.mode or mode or DEFAULT_MODE)
    return files


def _checked(path: str) -> str:
    """A path that stays inside its volume."""
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise VolumeError(f'path "{path}" must be relative and without ".."')
    return posixpath.normpath(path)


class Mount(NamedTuple):
    """A host path and where the container sees it."""

    source: str
    target: str
    read_only: bool


def container_mounts(container: Container, sources: Mapping[str, str], sub_paths: Mapping[str, str]) -> list[Mount]:
    """The container's mounts; `sources` are host paths by volume name, `sub_paths` the expanded subPaths by target.

    Raises VolumeError for a volume that the pod does not have.
    """
    mounts = []
    for mount in container.volume_mounts or ():
        if mount.name not in sources:
            raise VolumeError(f'volume "{mount.name}" of container {container.name} not found')
        source = sources[mount.name]
        sub_path = sub_paths.get(mount.mount_path, mount.sub_path)
        if sub_path:
            source = posixpath.join(source, _checked(sub_path))
        mounts.append(Mount(source, mount.mount_path, mount.read_only))
    return mounts


def with_token_volume(pod: Pod, *, automount: bool) -> tuple[tuple[Volume, ...], VolumeMount | None]:
    """The pod's volumes, with the ServiceAccount volume that every pod gets unless it is declined or there already.

    The second value is how each container mounts it.
    """
    volumes = pod.spec.volumes or ()
    wanted = automount if pod.spec.automount_service_account_token is None else pod.spec.automount_service_account_token
    mounted = any(
        mount.mount_path.rstrip("/") == TOKEN_DIRECTORY
        for container in pod.spec.containers
        for mount in container.volume_mounts or ()
    )
    if not wanted or mounted:
        return volumes, None
    return (*volumes, _TOKEN_VOLUME), VolumeMount(_TOKEN_VOLUME.name, TOKEN_DIRECTORY, read_only=True)


_TOKEN_VOLUME = Volume(
    name="kube-api-access",
    projected=ProjectedVolumeSource(
        default_mode=0o644,
        sources=(
            VolumeProjection(service_account_token=ServiceAccountTokenProjection("token", expiration_seconds=3607)),
            VolumeProjection(
                config_map=ConfigMapVolumeSource("kube-root-ca.crt", items=(KeyToPath("ca.crt", "ca.crt"),))
            ),
            VolumeProjection(
                downward_api=DownwardAPIVolumeSource(
                    items=(DownwardAPIVolumeFile("namespace", ObjectFieldSelector("metadata.namespace")),)
                )
            ),
        ),
    ),
)
