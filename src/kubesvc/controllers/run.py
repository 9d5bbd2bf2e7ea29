"""The controllers role: every controller and the scheduler in one process, over one client and one set of caches."""

import asyncio
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.api.addresses import Network
from kubesvc.client.events import EventRecorder
from kubesvc.client.rest import Client
from kubesvc.controllers.apply import Applier
from kubesvc.controllers.caches import Caches
from kubesvc.controllers.controller import Controller, Measures, settle
from kubesvc.controllers.ownwrites import OwnWrites
from kubesvc.controllers.pages import serving
from kubesvc.controllers.wiring.nodes import nodeipam_controller, nodelifecycle_controller, podgc_controller
from kubesvc.controllers.wiring.ownership import (
    GarbageWiring,
    namespace_controller,
    namespace_defaults_controller,
    watch_all,
)
from kubesvc.controllers.wiring.scheduling import SchedulerWiring
from kubesvc.controllers.wiring.services import (
    SelectedPods,
    endpoints_controller_for,
    endpointslice_controller,
    loadbalancer_controller,
    mirroring_controller,
)
from kubesvc.controllers.wiring.workloads import Workloads, deployment_controller, replicaset_controller
from kubesvc.observe import Registry, log

COMPONENT = "kubesvc-controllers"
_log = log("controllers")


@dataclass(frozen=True, slots=True)
class ControllersOptions:
    """How to reach the API, and what the cluster has to give.

    `cluster_ca` is published to every namespace; `load_balancer_pool` is a CIDR, "" for no provider;
    `cluster_cidr` is what nodes without a pod address range get theirs from. `metrics_bind` (address:port,
    "" for none) is where /metrics and /healthz are.
    """

    kubeconfig: Path
    cluster_ca: Path
    load_balancer_pool: str = ""
    cluster_cidr: str = "10.244.0.0/16"
    metrics_bind: str = "127.0.0.1:10257"


async def run(options: ControllersOptions) -> None:
    """Run all controllers until cancelled."""
    cluster_ca = options.cluster_ca.read_text(encoding="ascii")
    registry, ready = Registry(), asyncio.Event()
    async with (
        serving(options.metrics_bind, registry, ready),
        Client.from_kubeconfig(options.kubeconfig, user_agent=COMPONENT) as client,
    ):
        await run_controllers(
            client,
            cluster_ca=cluster_ca,
            pool=ip_network(options.load_balancer_pool) if options.load_balancer_pool else None,
            cluster=ip_network(options.cluster_cidr),
            registry=registry,
            ready=ready,
        )


async def run_controllers(
    client: Client,
    *,
    cluster_ca: str,
    pool: Network | None,
    cluster: Network,
    clock: Clock | None = None,
    registry: Registry | None = None,
    ready: asyncio.Event | None = None,
) -> None:
    """Run all controllers over `client` until cancelled; `ready` is set when the caches are filled and work begins."""
    clock = clock or SystemClock()
    caches = Caches(client, clock)
    writes = OwnWrites(settle)
    caches.observe(writes.saw)
    recorder = EventRecorder(client, COMPONENT, clock=clock)
    scheduling = EventRecorder(client, "default-scheduler", clock=clock)
    controllers = build_controllers(caches, client, clock, cluster_ca=cluster_ca, pool=pool, cluster=cluster)
    scheduler = SchedulerWiring(caches, clock).controller
    measures = Measures(registry or Registry())
    applier = Applier(client, recorder, caches, writes)
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.run(), name="events")
        group.create_task(scheduling.run(), name="scheduler events")
        group.create_task(caches.run(), name="caches")
        await caches.synced()
        _log.info("caches filled", pool=pool or "none")
        for controller in controllers:
            group.create_task(controller.run(applier, writes, measures, clock), name=controller.name)
        binder = Applier(client, scheduling, caches, writes)
        group.create_task(scheduler.run(binder, writes, measures, clock), name=scheduler.name)
        if ready is not None:
            ready.set()


def build_controllers(
    caches: Caches, client: Client, clock: Clock, *, cluster_ca: str, pool: Network | None, cluster: Network
) -> list[Controller[Any]]:
    """All controllers but the scheduler, wired to `caches`."""
    selected = SelectedPods(caches)
    workloads = Workloads(caches)
    controllers: list[Controller[Any]] = [
        endpointslice_controller(caches, selected),
        endpoints_controller_for(caches, selected),
        mirroring_controller(caches),
        loadbalancer_controller(caches, pool),
        deployment_controller(workloads, clock),
        replicaset_controller(workloads, clock),
        namespace_defaults_controller(caches, cluster_ca),
        nodelifecycle_controller(caches, clock),
        nodeipam_controller(caches, cluster),
        podgc_controller(caches, client, clock),
    ]
    collector = GarbageWiring(caches, client)
    controllers += [collector.controller, namespace_controller(caches, collector.graph, client, clock)]
    watch_all(caches)
    return controllers
