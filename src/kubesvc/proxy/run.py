"""`kubesvc proxy`: the parts put together and run."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from kubesvc.aio.clock import SystemClock
from kubesvc.api import views
from kubesvc.api.resources import ENDPOINTSLICES, NODES, SERVICES, Key
from kubesvc.client import Client, EventRecorder, Informer
from kubesvc.client.http import HttpTransport
from kubesvc.client.kubeconfig import Access, read_in_cluster, read_kubeconfig
from kubesvc.linux import libc
from kubesvc.linux.conntrack import ConntrackSocket
from kubesvc.observe import log
from kubesvc.proxy.configz import configz
from kubesvc.proxy.counters_page import CountersPage
from kubesvc.proxy.early import serve_critical
from kubesvc.proxy.families import open_families
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.health import JSON, Answer, Health
from kubesvc.proxy.kernel import (
    counters_of,
    local_addresses,
    open_backend,
    prepare_kernel,
    prepare_traffic,
    remove_kube_proxys,
    remove_other_modes,
    remove_rules,
    supported_families,
)
from kubesvc.proxy.labels import SELECTOR
from kubesvc.proxy.memory import keep_service, keep_slice, rare_collections, settle
from kubesvc.proxy.metrics import ProxyMetrics
from kubesvc.proxy.model import Complaint, Family, HealthCheck
from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions
from kubesvc.proxy.proxier import Proxier
from kubesvc.proxy.ranges import ServiceRanges
from kubesvc.proxy.reconfigured import run_until_changed
from kubesvc.proxy.rules import health_hosts, rule_settings
from kubesvc.proxy.servers import METRICS, TEXT, Handler, HealthCheckServers, HttpServer, keep_serving
from kubesvc.proxy.tracker import Tracker

__all__ = ["LocalDetector", "Mode", "ProxyOptions", "run", "run_with_client"]

_log = log("proxy")


async def run(options: ProxyOptions) -> None:
    """Serve one node's Services until cancelled; the rules stay in place afterwards.

    Raises BackendError when the kernel or its tools cannot do what the mode needs.
    """
    if options.cleanup:
        for what in remove_rules():
            _log.info("removed", what=what)
        return
    for warning in options.warnings:
        _log.warning(warning)
    if options.init_only:
        prepare_kernel(options)
        return
    async with Client(HttpTransport(access_of(options), user_agent="kubesvc-proxy")) as client:
        serving = run_with_client(options, client)
        await (run_until_changed(serving, options.config_file, SystemClock()) if options.config_file else serving)


def access_of(options: ProxyOptions) -> Access:
    """Where the API is, and as whom to ask; raises KubeconfigError."""
    if options.kubeconfig is None and options.master:
        return Access(server=options.master.rstrip("/"))
    found = read_kubeconfig(options.kubeconfig) if options.kubeconfig else read_in_cluster()
    return replace(found, server=options.master.rstrip("/")) if options.master else found


async def run_with_client(options: ProxyOptions, client: Client) -> None:
    """The same on a client that the caller owns; a family that this machine cannot have is left out."""
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        stack.enter_context(rare_collections())
        remove_other_modes(Mode(options.mode))
        prepare_kernel(options)
        open_one = partial(_open_family, options, stack)
        families = await open_families(options, client, supported_families(), open_one)
        prepare_traffic(options, [each.tracker.family for each in families])
        daemon = _Daemon(options, client, families, clock)
        await daemon.run()


def _open_family(options: ProxyOptions, stack: contextlib.ExitStack, family: Family) -> FamilyProxy:
    backend = open_backend(options, rule_settings(options, family, None))
    stack.callback(backend.close)
    flows = ConntrackSocket("ip" if family is Family.IPV4 else "ip6")
    stack.callback(flows.close)
    return FamilyProxy(Tracker(family, options.node_name), backend, flows, local_addresses)


class _Daemon:
    """The tasks of one proxy and what ties them together."""

    def __init__(self, options: ProxyOptions, client: Client, families: list[FamilyProxy], clock: SystemClock) -> None:
        self._options, self._client, self._families, self._clock = options, client, families, clock
        counted = [counters_of(options, each.tracker.family, each.plans, clock) for each in families]
        self._counters = CountersPage(counted, clock, endpoints=options.endpoint_metrics)
        self._node: views.Node | None = None
        self._ranges = ServiceRanges(client, clock, self._ranges_changed)
        self._health = Health(patience=2 * options.sync_period)
        self._metrics = ProxyMetrics(str(Mode(options.mode)))
        self._events = EventRecorder(client, "kube-proxy", host=options.node_name, clock=clock)
        self._informers = (
            Informer(client, SERVICES, views.Service, label_selector=SELECTOR, retain=keep_service),
            Informer(client, ENDPOINTSLICES, views.EndpointSlice, label_selector=SELECTOR, retain=keep_slice),
            Informer(client, NODES, views.Node, field_selector=f"metadata.name={options.node_name}"),
        )
        self._proxier = Proxier(
            families,
            *self._informers,
            clock=clock,
            health=self._health,
            metrics=self._metrics,
            min_sync_period=options.min_sync_period,
            complain=self._complain,
            on_node=self._configure,
        )

    async def run(self) -> None:
        servers = list(self._servers())
        try:
            late = [server for server in servers if not await self._start(server)]
            await self._ranges.first_look()
            await serve_critical(self._client, self._families, self._options.node_name, self._configure)
            async with asyncio.TaskGroup() as group:
                for informer in self._informers:
                    group.create_task(informer.run(), name=f"proxy-watch-{informer.resource.plural}")
                group.create_task(self._events.run(), name="proxy-events")
                group.create_task(self._proxier.run(), name="proxy-sync")
                group.create_task(self._proxier.watch_rules(), name="proxy-rules")
                group.create_task(self._ranges.run(), name="proxy-ranges")
                group.create_task(self._announce(), name="proxy-ready")
                group.create_task(self._serve_health_checks(), name="proxy-health-checks")
                for server in late:
                    failed = partial(self._not_serving, server)
                    group.create_task(keep_serving(server, self._clock, failed), name=f"proxy-{server.bind}")
        finally:
            for server in servers:
                await server.stop()

    async def _start(self, server: HttpServer) -> bool:
        try:
            await server.start()
        except OSError as err:
            if self._options.bind_hard_fail:
                raise
            self._not_serving(server, err)
            return False
        return True

    def _not_serving(self, server: HttpServer, err: OSError) -> None:
        _log.error("address not to be had, trying again", bind=server.bind, reason=err.strerror)
        health = server.bind == self._options.healthz_bind
        reason = "FailedToStartProxierHealthcheck" if health else "FailedToStartMetricServer"
        self._events.event(self._about_node(), "Warning", reason, f"{server.bind}: {err.strerror}")

    def _about_node(self) -> views.ObjectReference:
        name = self._options.node_name
        return views.ObjectReference(kind="Node", name=name, uid=name, api_version="v1")

    def _servers(self) -> Iterator[HttpServer]:
        if self._options.healthz_bind:
            yield HttpServer(self._options.healthz_bind, {"/healthz": self._healthz, "/livez": self._livez})
        if self._options.metrics_bind:
            routes: dict[str, Handler] = {"/metrics": self._render, "/proxyMode": self._mode, "/configz": self._configz}
            yield HttpServer(self._options.metrics_bind, {**routes, "/healthz": lambda: (200, TEXT, b"ok")})

    async def _announce(self) -> None:
        """Say that the rules are in force, once."""
        await self._proxier.first_sync.wait()
        if self._node is None:
            name = self._options.node_name
            _log.warning("no Node has this name: set --hostname-override to one of kubectl get nodes", node=name)
        for what in remove_kube_proxys():  # not before, so that Services answer all the time
            _log.info("removed what was left", what=what)
        settle()
        message = f"kubesvc proxy serves Services, mode {self._options.mode}"
        self._events.event(self._about_node(), "Normal", "Starting", message)
        libc.malloc_trim()
        if self._options.ready_file:
            _touch(self._options.ready_file)
        if self._options.ready:
            self._options.ready()

    async def _serve_health_checks(self) -> None:
        servers = HealthCheckServers(lambda: self._health.live(self._clock.monotonic()), self._health_check_failed)
        try:
            while True:
                await self._follow_health_checks(servers)
                await self._proxier.health_changed()
        finally:
            await servers.stop()

    async def _follow_health_checks(self, servers: HealthCheckServers) -> None:
        checks = self._proxier.health_checks
        try:
            hosts = self._health_hosts() if checks else None
        except OSError as err:
            _log.warning("the node's addresses were not to be had, trying again", reason=err)
            return
        await servers.follow(checks, hosts)

    def _health_hosts(self) -> tuple[str, ...] | None:
        asked = [each.tracker.family for each in self._families if each.health]
        return health_hosts([rule_settings(self._options, each, self._node) for each in asked], local_addresses())

    def _configure(self, node: views.Node | None) -> None:
        if node is None:
            return
        self._node = node
        for family in self._families:
            settings = rule_settings(self._options, family.tracker.family, node, self._ranges.cidrs)
            if family.backend.configure(settings):
                family.needs_full = True

    def _ranges_changed(self) -> None:
        _log.info("ranges of Services", cidrs=",".join(self._ranges.cidrs))
        self._configure(self._node)
        self._proxier.wake()

    def _complain(self, complaint: Complaint) -> None:
        services, slices, _ = self._informers
        key = Key(complaint.namespace, complaint.name)
        found = services.objects.get(key) if complaint.kind == "Service" else slices.objects.get(key)
        about = views.ObjectReference(
            kind=complaint.kind,
            namespace=complaint.namespace,
            name=complaint.name,
            uid=found.metadata.uid if found else "",  # without it, `kubectl describe` does not find the event
            api_version="v1" if complaint.kind == "Service" else "discovery.k8s.io/v1",
        )
        self._events.event(about, "Warning", complaint.reason, complaint.message)

    def _health_check_failed(self, check: HealthCheck, err: OSError) -> None:
        message = f"node {self._options.node_name} failed to start healthcheck on port {check.port}: {err.strerror}"
        self._complain(Complaint("Service", check.namespace, check.service, "FailedToStartServiceHealthcheck", message))

    def _healthz(self) -> Answer:
        answer = self._health.healthz(self._clock.monotonic(), self._clock.now())
        self._metrics.healthz.inc(str(answer[0]))
        return answer

    def _livez(self) -> Answer:
        answer = self._health.livez(self._clock.monotonic(), self._clock.now())
        self._metrics.livez.inc(str(answer[0]))
        return answer

    async def _render(self) -> Answer:
        counted = await self._counters.text()
        self._proxier.note_pending()
        return 200, METRICS, self._metrics.registry.render() + counted

    def _mode(self) -> Answer:
        return 200, TEXT, str(Mode(self._options.mode)).encode()

    def _configz(self) -> Answer:
        return 200, JSON, json.dumps(configz(self._options)).encode()


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("rules in force\n")
