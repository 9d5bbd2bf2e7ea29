"""A pod's files on its node, and the specification of a container made of them."""

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from kubesvc.api.views import Container, Pod, PodSecurityContext, SecurityContext, Service, Volume, VolumeMount
from kubesvc.node.downward import PodFacts
from kubesvc.node.environment import ConfigError, Sources, container_environment
from kubesvc.node.expansion import expand, expand_all
from kubesvc.node.hostnames import hosts_file, short_hostname
from kubesvc.node.imagenames import builtin_name
from kubesvc.node.options import NodeOptions
from kubesvc.node.resolver import ResolverFile, parse_resolver_config, resolver_file
from kubesvc.node.runtime.protocol import ContainerSpec, MountSpec
from kubesvc.node.volumefiles import write_volume
from kubesvc.node.volumes import Token, VolumeError, container_mounts, is_projected, projected_files

HOST_IMAGE = "kubesvc/host"
_OWN_ETC = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")


class Material(msgspec.Struct, frozen=True):
    """Everything a container is made of, fetched."""

    facts: PodFacts
    sources: Sources
    tokens: Mapping[Token, str]
    services: Iterable[Service]
    volumes: tuple[Volume, ...]
    token_mount: VolumeMount | None


class PodFiles:
    """The directory of one pod."""

    def __init__(self, options: NodeOptions, pod: Pod) -> None:
        self._options = options
        self.directory = pod_directory(options.state_dir, pod.metadata.uid)

    def write_etc(self, pod: Pod, address: str) -> ResolverFile:
        """hosts, resolv.conf and hostname; returns the resolver file for its complaints."""
        domain = self._options.cluster_domain
        etc = self.directory / "etc"
        resolver = resolver_file(
            pod,
            host=parse_resolver_config(_read("/etc/resolv.conf")),
            cluster_dns=self._options.cluster_dns,
            domain=domain,
        )
        addresses = (address,) if address else ()
        hosts = hosts_file(pod, domain=domain, addresses=addresses, node_file=_read("/etc/hosts"))
        (etc / "resolv.conf").write_text(resolver.text)
        (etc / "hosts").write_text(hosts)
        (etc / "hostname").write_text(short_hostname(pod) + "\n")
        return resolver

    def write_volumes(self, pod: Pod, material: Material) -> None:
        """Bring the volumes made of API objects up to date. Raises VolumeError."""
        for volume in material.volumes:
            files = projected_files(pod, volume, material.sources, material.facts, material.tokens)
            if files is not None:
                write_volume(self.volume(volume.name), files)
            elif volume.empty_dir is not None or volume.host_path is None:
                self._make_empty(volume)

    def volume(self, name: str) -> Path:
        return self.directory / "volumes" / name

    def _make_empty(self, volume: Volume) -> None:
        if volume.empty_dir is None:
            raise VolumeError(f'volume "{volume.name}": this runtime offers configMap, secret, projected, downwardAPI, '
                              "emptyDir and hostPath volumes")  # fmt: skip
        path = self.volume(volume.name)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)

    def container_spec(self, pod: Pod, container: Container, attempt: int, material: Material) -> ContainerSpec:
        """One run of a container. Raises ConfigError or VolumeError, naming what is missing."""
        env = container_environment(pod, container, material.facts, material.sources, material.services)
        user = _identity(pod.spec.security_context, container.security_context)
        env = {"HOSTNAME": short_hostname(pod), "HOME": "/" if user[0] else "/root", **env}
        builtin, argv = self._program(container, env)
        context = container.security_context
        log = self.log_path(container.name, attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        return ContainerSpec(
            name=container.name,
            attempt=attempt,
            id=secrets.token_hex(32),
            argv=argv,
            builtin=builtin,
            env=env,
            working_dir=container.working_dir,
            mounts=tuple(self._mounts(pod, container, attempt, env, material)),
            hidden=tuple(str(path) for path in (*self._options.hidden, self._options.state_dir)),
            log_path=str(log),
            stdin=container.stdin,
            stdin_once=container.stdin_once,
            tty=container.tty,
            user=user[0],
            group=user[1],
            groups=user[2],
            capabilities=tuple((context and context.capabilities and context.capabilities.add) or ()),
            read_only_root=bool(context and context.read_only_root_filesystem),
        )

    def log_path(self, container: str, attempt: int) -> Path:
        return self.directory / "logs" / container / f"{attempt}.log"

    def termination_log(self, container: str, attempt: int) -> Path:
        return self.directory / "containers" / container / f"{attempt}.termination"

    def _program(self, container: Container, env: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """(built-in, its arguments), or ("", argv) where the pod gives a command: that runs from the host's root."""
        arguments = expand_all(container.args, env)
        if container.command:
            return "", (*expand_all(container.command, env), *arguments)
        name = builtin_name(container.image, self._options.builtins) or ""
        if name == HOST_IMAGE and arguments:
            return "", arguments
        return name, arguments

    def _mounts(
        self, pod: Pod, container: Container, attempt: int, env: Mapping[str, str], material: Material
    ) -> Iterable[MountSpec]:
        sources = {volume.name: self._source(volume) for volume in material.volumes}
        sub_paths = {
            mount.mount_path: expand(mount.sub_path_expr, env)
            for mount in container.volume_mounts or ()
            if mount.sub_path_expr
        }
        found = container_mounts(container, sources, sub_paths)
        fixed = {sources[volume.name] for volume in material.volumes if is_projected(volume)}
        if material.token_mount is not None:
            token = material.token_mount
            found.append(container_mounts(Container("", volume_mounts=(token,)), sources, {})[0])
        for mount in found:
            if mount.source.startswith(str(self.directory)) and not Path(mount.source).exists():
                Path(mount.source).mkdir(parents=True)
        own = {mount.target for mount in found}
        etc = [MountSpec(str(self.directory / path.lstrip("/")), path) for path in _OWN_ETC if path not in own]
        termination = self.termination_log(container.name, attempt)
        termination.parent.mkdir(parents=True, exist_ok=True)
        termination.touch()
        termination.chmod(0o666)
        path = container.termination_message_path or "/dev/termination-log"
        yield MountSpec(str(self.directory / "shm"), "/dev/shm")
        yield MountSpec(str(termination), path)
        yield from etc
        for mount in found:
            yield MountSpec(
                str(Path(mount.source).resolve()), mount.target, mount.read_only or _root(mount.source, fixed)
            )

    def _source(self, volume: Volume) -> str:
        if volume.host_path is None:
            return str(self.volume(volume.name))
        path, kind = volume.host_path.path, volume.host_path.type or ""
        if kind in ("DirectoryOrCreate", "FileOrCreate"):
            raise VolumeError(
                f'hostPath volume "{volume.name}": this runtime makes nothing on the host, {path} must exist'
            )
        if not Path(path).exists():
            raise VolumeError(f"hostPath type check failed: {path} does not exist")
        return path


def pod_directory(state_dir: Path, uid: str) -> Path:
    """Where everything about a pod lies."""
    return state_dir / "pods" / uid


def _root(source: str, roots: set[str]) -> bool:
    """Whether a mount's source is, or lies in, one of the volumes `roots`."""
    return any(source == root or source.startswith(f"{root}/") for root in roots)


def _identity(
    pod: PodSecurityContext | None, container: SecurityContext | None
) -> tuple[int | None, int | None, tuple[int, ...]]:
    """(user, group, further groups); ConfigError where the pod asks not to be root and does not say who else."""
    user = pod.run_as_user if pod else None
    group = pod.run_as_group if pod else None
    not_root = pod.run_as_non_root if pod else None
    if container:
        user = user if container.run_as_user is None else container.run_as_user
        group = group if container.run_as_group is None else container.run_as_group
        not_root = not_root if container.run_as_non_root is None else container.run_as_non_root
    if not_root and not user:
        raise ConfigError("container has runAsNonRoot and image will run as root")
    groups = tuple((pod and pod.supplemental_groups) or ())
    if pod and pod.fs_group is not None:
        groups += (pod.fs_group,)
    return user, group, groups


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
