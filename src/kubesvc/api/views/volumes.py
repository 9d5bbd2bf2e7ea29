"""Volumes and where their contents come from."""

import msgspec

from kubesvc.api.views.base import View
from kubesvc.api.views.containers import ObjectFieldSelector, ResourceFieldSelector


class KeyToPath(View, frozen=True):
    key: str
    path: str
    mode: int | None = None


class ConfigMapVolumeSource(View, frozen=True):
    name: str = ""
    items: tuple[KeyToPath, ...] | None = None
    default_mode: int | None = None
    optional: bool | None = None


class SecretVolumeSource(View, frozen=True):
    secret_name: str = ""
    items: tuple[KeyToPath, ...] | None = None
    default_mode: int | None = None
    optional: bool | None = None


class EmptyDirVolumeSource(View, frozen=True):
    medium: str = ""


class HostPathVolumeSource(View, frozen=True):
    path: str
    type: str | None = None


class DownwardAPIVolumeFile(View, frozen=True):
    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardAPIVolumeSource(View, frozen=True):
    items: tuple[DownwardAPIVolumeFile, ...] | None = None
    default_mode: int | None = None


class ServiceAccountTokenProjection(View, frozen=True):
    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class VolumeProjection(View, frozen=True):
    config_map: ConfigMapVolumeSource | None = None
    secret: ConfigMapVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: ServiceAccountTokenProjection | None = None


class ProjectedVolumeSource(View, frozen=True):
    sources: tuple[VolumeProjection, ...] | None = None
    default_mode: int | None = None


class Volume(View, frozen=True):
    name: str
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedVolumeSource | None = None
