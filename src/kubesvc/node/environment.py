"""P: a container's environment variables (Pod v1 `env`, `envFrom`, `enableServiceLinks`)."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from kubesvc.api.views import ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service, Volume
from kubesvc.node.downward import PodFacts, UnknownField, field_value, resource_value
from kubesvc.node.expansion import expand

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


class ConfigError(Exception):
    """The container cannot be configured as its pod asks (CreateContainerConfigError)."""


class Sources(msgspec.Struct, frozen=True):
    """The objects that a pod refers to, by name; a name that is absent does not exist."""

    config_maps: Mapping[str, ConfigMap] = msgspec.field(default_factory=dict)
    secrets: Mapping[str, Secret] = msgspec.field(default_factory=dict)


class References(msgspec.Struct, frozen=True):
    """The names of the ConfigMaps and Secrets that a pod refers to."""

    config_maps: frozenset[str]
    secrets: frozenset[str]


def references(pod: Pod, volumes: Iterable[Volume]) -> References:
    """What has to be fetched before the pod's containers can start."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for container in (*(pod.spec.init_containers or ()), *pod.spec.containers):
        for origin in container.env_from or ():
            config_maps |= {origin.config_map_ref.name} if origin.config_map_ref else set()
            secrets |= {origin.secret_ref.name} if origin.secret_ref else set()
        for source in filter(None, (variable.value_from for variable in container.env or ())):
            config_maps |= {source.config_map_key_ref.name} if source.config_map_key_ref else set()
            secrets |= {source.secret_key_ref.name} if source.secret_key_ref else set()
    for volume in volumes:
        config_maps |= {volume.config_map.name} if volume.config_map else set()
        secrets |= {volume.secret.secret_name} if volume.secret else set()
        for part in (volume.projected and volume.projected.sources) or ():
            config_maps |= {part.config_map.name} if part.config_map else set()
            secrets |= {part.secret.name} if part.secret else set()
    return References(frozenset(config_maps), frozenset(secrets))


def container_environment(
    pod: Pod, container: Container, facts: PodFacts, sources: Sources, services: Iterable[Service]
) -> dict[str, str]:
    """The complete environment; later sources win, as `env` over `envFrom` over Services. Raises ConfigError."""
    values = service_environment(services, namespace=pod.metadata.namespace, links=pod.spec.enable_service_links)
    values |= _from_whole_objects(pod, container, sources)
    own: dict[str, str] = {}
    for variable in container.env or ():
        text = _variable(pod, container, facts, sources, variable, {**values, **own})
        if text is not None:
            own[variable.name] = text
    return values | own


def _from_whole_objects(pod: Pod, container: Container, sources: Sources) -> dict[str, str]:
    values: dict[str, str] = {}
    for origin in container.env_from or ():
        if origin.config_map_ref:
            ref, found = origin.config_map_ref, sources.config_maps.get(origin.config_map_ref.name)
            data = dict((found and found.data) or {})
            word = "configmap"
        elif origin.secret_ref:
            ref, secret = origin.secret_ref, sources.secrets.get(origin.secret_ref.name)
            data = {key: value.decode(errors="replace") for key, value in ((secret and secret.data) or {}).items()}
            found, word = secret, "secret"  # type: ignore[assignment]
        else:
            continue
        if found is None and not ref.optional:
            raise ConfigError(f'{word} "{ref.name}" not found')
        values |= {origin.prefix + key: value for key, value in data.items() if _NAME.fullmatch(origin.prefix + key)}
    return values


def _variable(
    pod: Pod, container: Container, facts: PodFacts, sources: Sources, variable: EnvVar, known: Mapping[str, str]
) -> str | None:
    if variable.value_from is None:
        return expand(variable.value, known)
    source = variable.value_from
    try:
        if source.field_ref:
            return field_value(pod, facts, source.field_ref.field_path)
        if source.resource_field_ref:
            return resource_value(pod, container, facts, source.resource_field_ref)
    except UnknownField as err:
        raise ConfigError(str(err)) from err
    return _key_value(pod.metadata.namespace, sources, source)


def _key_value(namespace: str, sources: Sources, source: EnvVarSource) -> str | None:
    if source.config_map_key_ref:
        ref, word, kind = source.config_map_key_ref, "configmap", "ConfigMap"
        config_map = sources.config_maps.get(ref.name)
        exists, value = config_map is not None, ((config_map and config_map.data) or {}).get(ref.key)
    elif source.secret_key_ref:
        ref, word, kind = source.secret_key_ref, "secret", "Secret"
        secret = sources.secrets.get(ref.name)
        raw = ((secret and secret.data) or {}).get(ref.key)
        exists, value = secret is not None, None if raw is None else raw.decode(errors="replace")
    else:
        return ""
    if value is None and not ref.optional:
        if not exists:
            raise ConfigError(f'{word} "{ref.name}" not found')
        raise ConfigError(f"couldn't find key {ref.key} in {kind} {namespace}/{ref.name}")
    return value


def service_environment(services: Iterable[Service], *, namespace: str, links: bool | None) -> dict[str, str]:
    """The variables of the namespace's Services (unless `links` is False), and always those of `default/kubernetes`."""
    wanted: dict[str, Service] = {}
    for service in services:
        meta, address = service.metadata, service.spec.cluster_ip
        if not address or address == "None":
            continue
        master = meta.namespace == "default" and meta.name == "kubernetes"
        mine = meta.namespace == namespace and links is not False
        if mine or (master and meta.name not in wanted):
            wanted[meta.name] = service
    values: dict[str, str] = {}
    for _, service in sorted(wanted.items()):
        values |= _one_service(service)
    return values


def _one_service(service: Service) -> dict[str, str]:
    name = service.metadata.name.upper().replace("-", "_")
    ports, address = service.spec.ports or (), service.spec.cluster_ip
    if not ports:
        return {}
    host = f"[{address}]" if ":" in address else address
    values = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0].port)}
    for port in ports:
        if port.name:
            values[f"{name}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    for index, port in enumerate(ports):
        protocol = port.protocol.lower()
        url = f"{protocol}://{host}:{port.port}"
        prefix = f"{name}_PORT_{port.port}_{port.protocol.upper()}"
        if index == 0:
            values[f"{name}_PORT"] = url
        values |= {
            prefix: url,
            f"{prefix}_PROTO": protocol,
            f"{prefix}_PORT": str(port.port),
            f"{prefix}_ADDR": address,
        }
    return values
