"""Agents die; pods do not notice. Shims die; pods come back. Nothing is left behind."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from kubesvc.node.purge import purge
from kubesvc.node.runtime.sandboxdir import is_alive, recall_shim

Document = dict[str, Any]


async def first_line(address: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}:8080/") as answer:
        return (await answer.text()).splitlines()[0]


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


async def test_a_killed_agents_pods_are_adopted_without_a_restart(
    idle_world: Any, pod: Callable[..., Document]
) -> None:
    world = idle_world
    snapshot = world.options.state_dir.parent / "api.json"
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    document = pod("web", container={"readinessProbe": probe})
    agent = os.fork()
    if agent == 0:
        run_in_child(world, document, snapshot)
    await world.until(lambda: snapshot.exists())
    before = msgspec.json.decode(snapshot.read_bytes())
    address = before["status"]["podIP"]

    end(agent)
    assert await first_line(address) == "web"
    world.api.put(before)
    await world.start_agent()
    await world.until(
        lambda: world.api.calls and any(call.method == "PATCH" and "/pods/web" in call.path for call in world.api.calls)
    )

    assert await first_line(address) == "web"
    assert world.container("web")["containerID"] == before["status"]["containerStatuses"][0]["containerID"]
    assert world.container("web")["restartCount"] == 0
    unready = [call for call in world.api.calls if call.body and "status" in call.body and not is_ready(call.body)]
    assert not [call for call in unready if "/pods/web" in call.path], "adoption must not make a ready pod unready"
    await world.delete("web")
    await world.until(lambda: world.pod("web") is None)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def is_ready(document: Document) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in document["status"].get("conditions", []))


def run_in_child(world: Any, document: Document, snapshot: Path) -> None:
    """An agent in a process of its own; it writes the pod down once that is ready."""

    async def main() -> None:
        await world.start_agent()
        await world.run_pod(document)
        draft = snapshot.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(world.pod("web")))
        os.replace(draft, snapshot)
        await asyncio.sleep(60)

    try:
        asyncio.set_event_loop(None)
        asyncio._set_running_loop(None)
        asyncio.run(main())
    finally:
        os._exit(1)


async def test_a_pod_whose_shim_is_killed_comes_back(world: Any, pod: Callable[..., Document]) -> None:
    await world.run_pod(pod("web"))
    record = recall_shim(world.shims()[0].parent)
    assert record is not None

    os.kill(record.pid, signal.SIGKILL)
    await world.until(lambda: world.container("web").get("restartCount") == 1 and world.ready("web"))

    assert await first_line(world.status("web")["podIP"]) == "web"
    assert "SandboxChanged" in [reason for reason, _ in world.events("web")]


async def test_pods_deleted_while_no_agent_was_there_are_ended(world: Any, pod: Callable[..., Document]) -> None:
    from kubesvc.api.resources import PODS

    address = await world.run_pod(pod("web"))
    await world.stop_agent()
    world.api.remove(PODS, "web", "default")
    assert await first_line(address) == "web"

    await world.start_agent()

    await world.until(lambda: not world.shims())


async def test_purging_a_node_leaves_no_process_link_mount_or_file(world: Any, pod: Callable[..., Document]) -> None:
    for name in ("one", "two"):
        await world.run_pod(pod(name))
    shims = [recall_shim(path.parent) for path in world.shims()]
    assert str(world.options.state_dir) not in mounts(), "a pod mounts nothing on the host"
    await world.stop_agent()

    killed = purge(world.options.state_dir)

    assert killed == 2
    assert purge(world.options.state_dir) == 0
    assert not [record for record in shims if record and is_alive(record)]
    assert not world.options.state_dir.exists()
    await world.until(
        lambda: "pod0a" not in subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    )
