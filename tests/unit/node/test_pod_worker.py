"""A pod's worker from arrival to end, with a runtime that pretends."""

import signal
from typing import Any

from kubesvc.api.resources import PODS
from kubesvc.testing import builders

Document = dict[str, Any]


def pod(**spec: Any) -> Document:
    container = spec.pop("container", {})
    document = builders.pod("web", node="node-1", terminationGracePeriodSeconds=30, **spec)
    document["spec"]["containers"][0] |= container
    return document


def is_ready(world: Any) -> bool:
    conditions = {c["type"]: c["status"] for c in world.status("web").get("conditions", [])}
    return bool(conditions["Ready"] == "True")


async def test_a_pod_gets_a_sandbox_a_container_and_a_status(world: Any) -> None:
    await world.begin(pod(hostname="front"))
    assert world.runtime.specs[0].hostname == "front"
    assert world.runtime.specs[0].network.address == "10.244.1.2"
    assert world.sandbox.started[0].builtin == "kubesvc/echo"
    assert world.sandbox.started[0].env["HOSTNAME"] == "front"
    assert (world.status("web")["phase"], world.status("web")["podIP"]) == ("Running", "10.244.1.2")
    assert is_ready(world)
    assert world.reasons() == ["Pulled", "Created", "Started"]


async def test_a_command_replaces_the_image_and_arguments_are_expanded(world: Any) -> None:
    env = [{"name": "WHO", "value": "world"}]
    await world.begin(pod(container={"command": ["echo", "hello $(WHO)"], "args": ["$(NO)"], "env": env}))
    spec = world.sandbox.started[0]
    assert (spec.builtin, spec.argv) == ("", ("echo", "hello world", "$(NO)"))


async def test_a_sandbox_that_cannot_be_made_is_an_event_and_tried_again(world: Any) -> None:
    world.runtime.failures.append(OSError("link pod0af40102: Operation not permitted"))
    await world.begin(pod())
    assert world.reasons() == ["FailedCreatePodSandBox"]
    assert world.status("web")["phase"] == "Pending"
    await world.advance(1)
    assert is_ready(world)
    assert world.runtime.specs[0].network.address == "10.244.1.3", "the address of a failed try rests"


async def test_a_container_that_ends_is_restarted_at_once_and_then_with_back_off(world: Any) -> None:
    await world.begin(pod())
    world.sandbox.end("main", 1)
    await world.advance(0)
    assert world.container("web")["restartCount"] == 1
    assert "running" in world.container("web")["state"]
    world.sandbox.end("main", 2)
    await world.advance(5)
    assert world.container("web")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert world.container("web")["lastState"]["terminated"]["exitCode"] == 2
    assert not is_ready(world)
    await world.advance(6)
    assert (world.container("web")["restartCount"], [spec.attempt for spec in world.sandbox.started]) == (2, [0, 1, 2])


async def test_an_image_that_is_not_built_in_is_backed_off_from(world: Any) -> None:
    worker = await world.begin(pod(restartPolicy="Never", container={"image": "nginx"}))
    assert world.container("web")["state"]["waiting"]["reason"] == "ErrImagePull"
    await world.advance(2)
    assert world.container("web")["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert worker.sandbox.started == []


async def test_a_refused_start_ends_the_run_with_its_reason(world: Any) -> None:
    worker = await world.begin(pod(restartPolicy="Never", container={"image": "nginx"}))
    worker.sandbox.refuse = '"nonesuch": executable file not found in $PATH'
    document = world.api.document(PODS, "web", "default")
    document["spec"]["containers"][0]["image"] = "kubesvc/host"
    world.api.put(document)
    world.update(worker)
    await world.advance(12)
    terminated = world.container("web")["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("StartError", 128)
    assert "executable file not found" in terminated["message"]
    assert world.status("web")["phase"] == "Failed"


async def test_deletion_signals_waits_confirms_and_cleans(world: Any) -> None:
    worker = await world.begin(pod())
    await world.context.client.delete(PODS, "web", namespace="default")
    world.update(worker)
    await world.advance(0)
    assert world.sandbox.signals == [("main", signal.SIGTERM)]
    assert world.api.document(PODS, "web", "default") is not None, "it still runs"
    assert is_ready(world), "a draining pod goes on serving"
    world.sandbox.end("main", 0)
    await world.advance(0)
    assert world.sandbox.stopped
    assert world.api.document(PODS, "web", "default") is None
    assert not worker.files.directory.exists()
    assert world.context.addresses.take() == "10.244.1.3"


async def test_a_pod_whose_shim_died_gets_a_new_sandbox_and_counts_the_restart(world: Any) -> None:
    await world.begin(pod())
    world.sandbox.on_lost()
    await world.advance(0)
    assert len(world.runtime.made) == 2
    assert world.container("web")["restartCount"] == 1
    assert world.status("web")["podIP"] == "10.244.1.3"
    assert "SandboxChanged" in world.reasons()


async def test_the_status_of_a_lost_api_is_written_when_it_is_back(world: Any) -> None:
    worker = await world.begin(pod(restartPolicy="Never"))
    world.api.set_reachable(reachable=False)
    world.sandbox.end("main", 0)
    await world.advance(1)
    world.api.set_reachable(reachable=True)
    await world.advance(20)
    assert world.status("web")["phase"] == "Succeeded"
    assert worker.record.sandbox == "gone"


async def test_a_pod_that_ended_before_keeps_its_status(world: Any) -> None:
    document = pod(restartPolicy="Never")
    document["status"] = {"phase": "Succeeded", "containerStatuses": [{"name": "main", "restartCount": 3}]}
    await world.begin(document)
    assert world.runtime.made == []
    assert world.status("web") == document["status"]


async def test_a_token_volume_holds_token_authority_and_namespace(world: Any) -> None:
    worker = await world.begin(pod())
    volume = worker.files.volume("kube-api-access")
    assert {path.name: path.read_text() for path in volume.iterdir() if path.is_file()} == {
        "token": "token-of-default",
        "ca.crt": "authority",
        "namespace": "default",
    }


async def test_volumes_follow_their_objects(world: Any) -> None:
    site = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "site", "namespace": "default"}}
    world.api.put(site | {"data": {"a": "1"}})
    worker = await world.begin(pod(volumes=[{"name": "site", "configMap": {"name": "site"}}]))
    assert (worker.files.volume("site") / "a").read_text() == "1"
    world.api.put(site | {"data": {"a": "2"}})
    await world.advance(11)
    assert (worker.files.volume("site") / "a").read_text() == "2"


async def test_what_is_missing_is_tried_again_and_said_once_it_lasts(world: Any) -> None:
    await world.begin(pod(volumes=[{"name": "site", "configMap": {"name": "none"}}]))
    assert world.reasons() == []
    await world.advance(10)
    assert "FailedMount" in world.reasons()
    assert world.container("web")["state"]["waiting"]["reason"] == "ContainerCreating"


def mark_not_ready(world: Any) -> None:
    """What the node lifecycle controller does to the pods of a silent node."""
    document = world.api.document(PODS, "web", "default")
    for condition in document["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition["status"] = "False"
    world.api.put(document)


async def test_a_pod_that_others_marked_not_ready_is_reported_as_it_is(world: Any) -> None:
    worker = await world.begin(pod())
    mark_not_ready(world)
    world.update(worker)
    await world.advance(0)
    assert is_ready(world)


async def test_news_older_than_the_last_report_change_nothing(world: Any) -> None:
    worker = await world.begin(pod())
    world.update(worker)
    old = worker.pod
    world.sandbox.end("main", 1)
    await world.advance(0)
    writes = len(world.api.calls)
    worker.update(old)
    await world.advance(0)
    assert len(world.api.calls) == writes


async def test_what_outlives_its_grace_is_killed_and_its_timer_never_outlives_the_pod(world: Any) -> None:
    worker = await world.begin(pod())
    await world.context.client.delete(PODS, "web", namespace="default")
    world.update(worker)
    await world.advance(0)
    await world.advance(29)
    assert not world.sandbox.stopped
    await world.advance(2)
    assert world.sandbox.stopped
    assert world.api.document(PODS, "web", "default") is None
    assert world.tasks[0].done()


async def test_a_second_deletion_brings_the_kill_forward(world: Any) -> None:
    worker = await world.begin(pod())
    await world.context.client.delete(PODS, "web", namespace="default")
    world.update(worker)
    await world.advance(0)
    document = world.api.document(PODS, "web", "default")
    document["metadata"]["deletionGracePeriodSeconds"] = 2
    world.api.put(document)
    world.update(worker)
    await world.advance(0)
    await world.advance(3)
    assert world.sandbox.stopped
