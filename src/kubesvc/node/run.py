"""The node agent's composition: what runs, and in which order it begins."""

import asyncio
import os
from pathlib import Path

from kubesvc.aio.clock import SystemClock
from kubesvc.api.resources import NODES, PODS, SERVICES
from kubesvc.api.views import Node, Pod, Service
from kubesvc.client import Client, EventRecorder, Informer
from kubesvc.linux import libc
from kubesvc.node.agent import Agent
from kubesvc.node.context import NodeContext
from kubesvc.node.ipam import AddressPool
from kubesvc.node.kubelet.server import KubeletServer
from kubesvc.node.localruntime import ProcessRuntime
from kubesvc.node.machine import describe_machine
from kubesvc.node.network import NodeNetwork
from kubesvc.node.nodeobject import node_status
from kubesvc.node.options import NodeOptions
from kubesvc.node.references import References
from kubesvc.node.registration import Registration
from kubesvc.node.runtime.spawner import Spawner, SpawnerDied
from kubesvc.observe import log

__all__ = ["NodeOptions", "run"]

_log = log("node")


async def run(options: NodeOptions) -> None:
    """Be the node until cancelled. The pods go on running; the next agent of the node adopts them.

    Returns only when the spawner has died, which only a new agent can replace.
    """
    # First of all: the spawner must be forked while this process holds nothing.
    spawner = Spawner.fork(options.builtins)
    try:
        async with Client.from_kubeconfig(options.kubeconfig, user_agent="kubesvc-node") as client:
            await run_agent(options, spawner, client)
    except* SpawnerDied:
        # Another must not be forked from a process that holds keys and connections: the next agent has its own.
        _log.error("the spawner died, ending to be started anew")
    finally:
        spawner.close()


async def run_agent(options: NodeOptions, spawner: Spawner, client: Client) -> None:
    """The agent around a spawner and a connection to the API that are there already."""
    (options.state_dir / "pods").mkdir(mode=0o700, parents=True, exist_ok=True)
    network = NodeNetwork(options)
    network.set_up()
    clock = SystemClock()
    machine = describe_machine(options.node_name)
    events = EventRecorder(client, "kubelet", host=options.node_name)
    pods = Informer(client, PODS, Pod, field_selector=f"spec.nodeName={options.node_name}")
    services = Informer(client, SERVICES, Service)
    nodes = Informer(client, NODES, Node)
    addresses = _AddressFile(options)
    context = NodeContext(
        options=options,
        client=client,
        events=events,
        runtime=ProcessRuntime(spawner),
        addresses=addresses.pool,
        references=References(client, clock),
        services=lambda: services.objects.values(),
        allocatable=node_status(options, machine, 0, {})["allocatable"],
        clock=clock,
        mtu=network.mtu,
    )
    agent = Agent(context, pods)
    registration = Registration(client, options, machine, clock)
    await agent.adopt()
    server = await KubeletServer(options, agent).start()
    try:
        async with asyncio.TaskGroup() as tasks:
            for name, part in (("pods", pods), ("services", services), ("nodes", nodes), ("events", events)):
                tasks.create_task(part.run(), name=name)
            tasks.create_task(spawner.watch(), name="spawner")
            await asyncio.gather(registration.register(), *(each.synced.wait() for each in (services, pods, nodes)))
            tasks.create_task(registration.run(nodes), name="registration")
            tasks.create_task(agent.run(), name="agent")
            tasks.create_task(_follow_nodes(network, nodes), name="routes")
            # The set-up of the network left much free that is never needed again.
            libc.malloc_trim()
            _log.info("node ready", node=options.node_name, pods=options.pod_cidr)
    finally:
        await server.cleanup()
        network.close()


async def _follow_nodes(network: NodeNetwork, nodes: "Informer[Node]") -> None:
    await nodes.synced.wait()
    network.follow(nodes)


class _AddressFile:
    """Remembers the address given out last, so that a restart does not hand a recent one out again."""

    def __init__(self, options: NodeOptions) -> None:
        self._path: Path = options.state_dir / "last-address"
        self.pool = AddressPool(options.pod_cidr, last=self._read(options.pod_cidr), on_take=self._write)

    def _read(self, cidr: str) -> str:
        try:
            network, _, last = self._path.read_text().partition(" ")
        except OSError:
            return ""
        return last if network == cidr else ""

    def _write(self, cidr: str, last: str) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(f"{cidr} {last}")
        os.replace(draft, self._path)
