"""Starting one container of a pod: its image, its files, its process, its hooks and probes."""

import asyncio
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kubesvc.aio.backoff import backoff
from kubesvc.api.status import ApiError
from kubesvc.api.views import Container
from kubesvc.client.errors import ConnectionFailed
from kubesvc.node.backoff import describe, image_delay
from kubesvc.node.downward import PodFacts
from kubesvc.node.environment import ConfigError
from kubesvc.node.hooks import run_hook
from kubesvc.node.imagenames import builtin_name, refusal
from kubesvc.node.podfiles import Material
from kubesvc.node.prober import Prober
from kubesvc.node.probes import ProbeKind
from kubesvc.node.probing import Target
from kubesvc.node.records import Waiting
from kubesvc.node.runlog import is_plain_init, next_attempt, started_run
from kubesvc.node.runtime.protocol import ContainerState
from kubesvc.node.runtime.sandbox import RequestFailed, SandboxGone
from kubesvc.node.stopping import stop_container
from kubesvc.node.volumes import VolumeError, with_token_volume
from kubesvc.observe import log

if TYPE_CHECKING:
    from kubesvc.node.worker import PodWorker

_log = log("node.container")
_HOOK_LIMIT = 600.0
# Spread out, so that pods started together do not ask the API together for ever after.
_REFRESH_SECONDS = (7.5, 10.0)
_FIRST_RETRY = 0.02
_LONGEST_RETRY = 5.0
_QUIET_FAILURES = 6


class Starter:
    """Starts containers for one worker and keeps their probes."""

    def __init__(self, worker: "PodWorker") -> None:
        self._worker = worker
        self._probers: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._image_failures: dict[str, int] = {}
        self._stopping: set[str] = set()
        self._refresh: asyncio.Task[None] | None = None

    async def start(self, container: Container) -> None:
        """Start it; what stands in the way becomes the container's waiting reason, an Event, and a later try."""
        worker = self._worker
        if not self._check_image(container):
            return
        try:
            material = await self.gather()
            worker.files.write_volumes(worker.pod, material)
            attempt = next_attempt(worker.record.of(container.name))
            spec = worker.files.container_spec(worker.pod, container, attempt, material)
        except ConfigError as err:
            self._postpone(container, Waiting("CreateContainerConfigError", str(err)), "Failed", f"Error: {err}")
            return
        except (VolumeError, OSError) as err:
            self._postpone(container, None, "FailedMount", f"MountVolume.SetUp failed: {err}")
            return
        except (ApiError, ConnectionFailed) as err:
            self._postpone(container, None, "FailedMount", f"Unable to fetch what the pod refers to: {err}")
            return
        if worker.deleted or worker.sandbox is None:
            return
        worker.event(
            "Normal", "Pulled", f'Container image "{container.image}" already present on machine', container.name
        )
        worker.event("Normal", "Created", f"Created container: {container.name}", container.name)
        try:
            state = await worker.sandbox.start(spec)
        except RequestFailed as err:
            # Its end is reported by the shim as that of any other run.
            worker.event("Warning", "Failed", f"Error: failed to start container: {err}", container.name)
            return
        except SandboxGone:
            return
        self._began(container, state, spec.log_path)

    def resume(self, container: Container) -> None:
        """Go on with a container that a former agent started."""
        if self._worker.record.of(container.name).running:
            self._watch(container)
            self._follow_volumes()

    def ended(self, name: str) -> None:
        """The container's process has ended."""
        task = self._probers.pop(name, None)
        if task is not None:
            task.cancel()
        self._end_of(name).set()

    async def wait_end(self, name: str) -> None:
        """Return once the container does not run."""
        if self._worker.record.of(name).running:
            await self._end_of(name).wait()

    def stop_liveness(self, name: str) -> None:
        """The container is being stopped: its probes have nothing left to decide but readiness, which may go on."""
        self._stopping.add(name)

    def cancel_all(self) -> None:
        for task in (*self._probers.values(), *((self._refresh,) if self._refresh else ())):
            task.cancel()
        self._probers.clear()

    def _end_of(self, name: str) -> asyncio.Event:
        return self._ends.setdefault(name, asyncio.Event())

    def _check_image(self, container: Container) -> bool:
        worker = self._worker
        known = worker.context.options.builtins
        if builtin_name(container.image, known) is not None:
            self._image_failures.pop(container.name, None)
            return True
        failures = self._image_failures[container.name] = self._image_failures.get(container.name, 0) + 1
        message = refusal(container.image, known)
        if failures == 1:
            text = f'Failed to pull image "{container.image}": {message}'
            worker.event("Warning", "Failed", text, container.name)
            worker.event("Warning", "Failed", "Error: ErrImagePull", container.name)
            self._wait(container, Waiting("ErrImagePull", message), 1.0)
        else:
            delay = image_delay(failures - 1)
            text = f'Back-off pulling image "{container.image}"'
            worker.event("Normal", "BackOff", text, container.name)
            self._wait(container, Waiting("ImagePullBackOff", f"{text} ({describe(delay)}): {message}"), delay)
        return False

    def _postpone(self, container: Container, waiting: Waiting | None, reason: str, message: str) -> None:
        """Try again: soon at first, because what is missing is often just being made."""
        failures = self._worker.record.of(container.name).failures
        if failures >= _QUIET_FAILURES:
            name = container.name if reason == "Failed" else ""
            self._worker.event("Warning", reason, message, name)
        delay = backoff(failures + 1, first=_FIRST_RETRY, longest=_LONGEST_RETRY)
        self._wait(container, waiting, delay, failures + 1)

    def _wait(self, container: Container, waiting: Waiting | None, delay: float, failures: int = 0) -> None:
        worker = self._worker
        record = worker.record.of(container.name)
        at = worker.context.clock.monotonic() + delay
        shown = waiting if waiting is None or failures == 0 or failures > _QUIET_FAILURES else None
        worker.record = worker.record.having(replace(record, waiting=shown, retry_at=at, failures=failures))

    async def gather(self) -> Material:
        """Fetch whatever the pod's containers are made of. Raises VolumeError, ApiError, ConnectionFailed."""
        worker, context = self._worker, self._worker.context
        pod = worker.pod
        declared = pod.spec.automount_service_account_token
        volumes, mount = with_token_volume(pod, automount=True)
        if mount is not None and declared is None and not await context.references.automount(pod):
            volumes, mount = with_token_volume(pod, automount=False)
        sources, tokens = await asyncio.gather(
            context.references.sources(pod, volumes), context.references.tokens(pod, volumes)
        )
        facts = PodFacts(worker.record.address, context.options.node_ip, context.allocatable)
        return Material(facts, sources, tokens, tuple(context.services()), volumes, mount)

    def _began(self, container: Container, state: ContainerState, log_path: str) -> None:
        worker = self._worker
        before = worker.record.of(container.name)
        if before.run is not None and before.run.id == state.id:
            return  # it has ended already, and that has been noted
        record = started_run(before, state, log_path)
        started = container.startup_probe is None
        record = replace(record, started=started, ready=started and container.readiness_probe is None)
        worker.record = worker.record.having(record)
        worker.event("Normal", "Started", f"Started container {container.name}", container.name)
        self._watch(container)
        if container.lifecycle and container.lifecycle.post_start:
            worker.spawn(self._post_start(container), f"postStart of {container.name}")
        self._follow_volumes()
        worker.report()

    async def _post_start(self, container: Container) -> None:
        worker = self._worker
        hook = container.lifecycle.post_start if container.lifecycle else None
        if hook is None or worker.sandbox is None:
            return
        target = Target(container, worker.sandbox, worker.record.address)
        outcome = await run_hook(hook, target, limit=_HOOK_LIMIT, clock=worker.context.clock)
        if not outcome.success and worker.record.of(container.name).running and not worker.deleted:
            worker.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {outcome.message}", container.name)
            await self.stop_one(container, "FailedPostStartHook")

    # Probes

    def _watch(self, container: Container) -> None:
        worker = self._worker
        self._ends[container.name] = asyncio.Event()
        self._stopping.discard(container.name)
        record = worker.record.of(container.name)
        if worker.sandbox is None or is_plain_init(worker.pod, container):
            return
        if container.startup_probe is None and container.readiness_probe is None:
            worker.record = worker.record.having(replace(record, started=True, ready=True))
        prober = Prober(
            Target(container, worker.sandbox, worker.record.address),
            ready=record.ready,
            started=record.started,
            on_verdict=lambda kind, good, _: self._verdict(container, kind, good=good),
            on_failure=lambda kind, message: self._probe_failed(container, kind, message),
            clock=worker.context.clock,
        )
        self._probers[container.name] = worker.spawn(prober.run(), f"probes of {container.name}")

    def _verdict(self, container: Container, kind: ProbeKind, *, good: bool) -> None:
        worker = self._worker
        record = worker.record.of(container.name)
        match kind, good:
            case "readiness", _:
                record = replace(record, ready=good)
            case "startup", True:
                record = replace(record, started=True, ready=record.ready or container.readiness_probe is None)
            case "startup" | "liveness", False if container.name not in self._stopping:
                message = f"Container {container.name} failed {kind} probe, will be restarted"
                worker.spawn(self.stop_one(container, message), f"restart of {container.name}")
        worker.record = worker.record.having(record)
        worker.report()
        worker.wake()

    def _probe_failed(self, container: Container, kind: ProbeKind, message: str) -> None:
        if container.name not in self._stopping:
            text = f"{kind.capitalize()} probe failed: {message}"
            self._worker.event("Warning", "Unhealthy", text, container.name)

    async def stop_one(self, container: Container, message: str) -> None:
        """Stop a container that is to be started again: with grace, then by force."""
        worker = self._worker
        name, sandbox = container.name, worker.sandbox
        probe = container.liveness_probe
        grace = (probe and probe.termination_grace_period_seconds) or worker.grace()
        try:
            async with asyncio.timeout(grace):
                await stop_container(worker, container, message)
        except TimeoutError:
            if sandbox is not None and worker.record.of(name).running:
                with suppress(RequestFailed, SandboxGone):
                    await sandbox.signal(name, signal.SIGKILL)

    def _follow_volumes(self) -> None:
        if self._refresh is None:
            self._refresh = self._worker.spawn(self._keep_volumes(), "volumes")

    async def _keep_volumes(self) -> None:
        """Follow the objects behind the pod's volumes, and renew its tokens."""
        worker = self._worker
        while True:
            await worker.context.clock.sleep(random.uniform(*_REFRESH_SECONDS))
            if worker.deleted:
                continue
            try:
                async with worker.context.references.refreshing:
                    material = await self.gather()
                worker.files.write_volumes(worker.pod, material)
            except (VolumeError, ApiError, ConnectionFailed, OSError) as err:
                _log.debug("volumes not refreshed", pod=worker.name, reason=err)
