"""Pods as they really run: processes, addresses, logs, exec, probes, ends."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

Document = dict[str, Any]


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def fetch(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
        return answer.status, await answer.text()


async def test_an_echo_pod_answers_with_its_name_from_its_own_address(world: Any, pod: Callable[..., Document]) -> None:
    address = await world.run_pod(pod("web"))

    status, text = await fetch(f"http://{address}:8080/hello")

    assert status == 200
    assert text.splitlines()[0] == "web"
    assert f"server: {address}:8080" in text
    assert world.status("web")["phase"] == "Running"
    assert [reason for reason, _ in world.events("web")] == ["Pulled", "Created", "Started"]


async def test_udp_and_raw_tcp_share_the_port_with_http(world: Any, pod: Callable[..., Document]) -> None:
    address = await world.run_pod(pod("web", container={"env": [{"name": "PORT", "value": "5000"}]}))

    reader, writer = await asyncio.open_connection(address, 5000)
    writer.write(b"hallo\n")
    tcp = await reader.readuntil(b"data: hallo\n")
    writer.close()
    udp = run("bash", "-c", f"exec 3<>/dev/udp/{address}/5000; echo hi >&3; timeout 3 head -n1 <&3")

    assert tcp.startswith(b"web\n")
    assert udp == "web\n"


async def test_two_pods_of_a_node_reach_each_other_through_the_nodes_ip_layer(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    address = await world.run_pod(pod("web"))
    world.api.put(
        pod("client", restartPolicy="Never", container=shell(f"curl -s http://{address}:8080/ > /dev/termination-log"))
    )

    await world.until(lambda: world.status("client").get("phase") == "Succeeded")

    message = world.container("client")["state"]["terminated"]["message"]
    assert message.startswith("web\n")
    assert f"client: {world.status('client')['podIP']}:" in message


async def test_a_pod_sees_its_own_names_and_nothing_of_the_hosts_secrets(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    hidden = f"ls -A {world.options.state_dir} /root /home 2>/dev/null | grep -v : | grep -c ."
    script = f"hostname; {hidden}; echo $KUBERNETES_SERVICE_HOST; cat /etc/resolv.conf"
    document = pod("lab", restartPolicy="Never", container=shell(f"({script}) > /dev/termination-log"))
    world.api.put(document)

    await world.until(lambda: world.status("lab").get("phase") == "Succeeded")

    lines = world.container("lab")["state"]["terminated"]["message"].splitlines()
    assert lines[0] == "lab"
    assert lines[1] == "0"
    assert lines[2] == "10.96.0.1"
    assert "nameserver 10.96.0.10" in lines
    assert any(line.startswith("search default.svc.cluster.local svc.cluster.local cluster.local") for line in lines)


async def test_readiness_follows_the_probe_within_a_period(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    world.api.put(
        pod(
            "slow",
            container=shell(
                "sleep 0.5; touch /tmp/ready; sleep 0.5; rm /tmp/ready; exec sleep 99", readinessProbe=probe
            ),
        )
    )

    await world.until(lambda: world.ready("slow"))
    await world.until(lambda: not world.ready("slow"))

    assert any(
        reason == "Unhealthy" and message.startswith("Readiness probe failed")
        for reason, message in world.events("slow")
    )
    assert world.container("slow")["restartCount"] == 0


async def test_a_failing_liveness_probe_restarts_the_container(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    probe = {"tcpSocket": {"port": 9}, "initialDelaySeconds": 1, "periodSeconds": 1, "failureThreshold": 1}
    document = pod("dead", container=shell("trap 'exit 0' TERM; while :; do sleep 0.1; done", livenessProbe=probe))
    world.api.put(document)

    await world.until(lambda: world.container("dead").get("restartCount", 0) >= 1)

    assert ("Killing", "Container main failed liveness probe, will be restarted") in world.events("dead")
    assert world.container("dead")["lastState"]["terminated"]["exitCode"] == 0


async def test_a_crashing_container_backs_off(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    world.api.put(pod("crash", container=shell("exit 3")))

    def waiting() -> bool:
        state = world.container("crash").get("state", {})
        return bool(state.get("waiting", {}).get("reason") == "CrashLoopBackOff")

    await world.until(waiting)

    assert world.container("crash")["restartCount"] == 1
    assert world.container("crash")["lastState"]["terminated"]["exitCode"] == 3


async def test_init_containers_run_in_order_and_a_sidecar_stays(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    volume = [{"name": "shared", "mountPath": "/shared"}]
    document = pod(
        "init",
        volumes=[{"name": "shared", "emptyDir": {}}],
        initContainers=[
            {"name": "first", **shell("echo first >> /shared/order", volumeMounts=volume)},
            {
                "name": "beside",
                "restartPolicy": "Always",
                **shell("echo beside >> /shared/order; exec sleep 99", volumeMounts=volume),
            },
            {"name": "second", **shell("echo second >> /shared/order", volumeMounts=volume)},
        ],
        container=shell("cat /shared/order > /dev/termination-log; exit 0", volumeMounts=volume),
        restartPolicy="Never",
    )
    world.api.put(document)

    await world.until(lambda: world.status("init").get("phase") == "Succeeded")

    assert world.container("init")["state"]["terminated"]["message"] == "first\nbeside\nsecond\n"


async def test_a_missing_config_map_is_waited_for(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    env = [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "paint", "key": "color"}}}]
    script = "echo $COLOR > /dev/termination-log"
    world.api.put(pod("picky", restartPolicy="Never", container=shell(script, env=env)))

    await world.until(lambda: ("Failed", 'Error: configmap "paint" not found') in world.events("picky"))
    assert world.container("picky")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    world.api.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "paint", "namespace": "default"},
            "data": {"color": "blue"},
        }
    )
    await world.until(lambda: world.status("picky").get("phase") == "Succeeded")

    assert world.container("picky")["state"]["terminated"]["message"] == "blue\n"


async def test_deletion_lets_the_pod_drain_and_leaves_nothing(world: Any, pod: Callable[..., Document]) -> None:
    address = await world.run_pod(pod("web"))

    slow = asyncio.create_task(fetch(f"http://{address}:8080/slow?seconds=1.2"))
    await world.until(lambda: "/slow" in next(world.options.state_dir.rglob("*.log")).read_text() or slow.done())
    await world.delete("web")
    status, text = await slow
    await world.until(lambda: world.pod("web") is None and not world.shims())

    assert (status, text.splitlines()[0]) == (200, "web")
    assert "pod0a" not in run("ip", "-br", "link")


async def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    await world.run_pod(pod("stubborn", container=shell("trap '' TERM; while :; do sleep 0.1; done")))

    await world.delete("stubborn", grace=1)

    await world.until(lambda: world.pod("stubborn") is None)


async def test_other_images_say_plainly_that_nothing_is_pulled(world: Any, pod: Callable[..., Document]) -> None:
    world.api.put(pod("web", container={"image": "nginx:1.27"}))

    def waiting() -> Document:
        return dict(world.container("web").get("state", {}).get("waiting", {}))

    await world.until(lambda: waiting().get("reason") == "ImagePullBackOff")

    assert "the process runtime cannot pull images" in waiting()["message"]
    assert "kubesvc/echo" in waiting()["message"]


async def test_a_pod_beyond_its_deadline_fails(world: Any, pod: Callable[..., Document]) -> None:
    world.api.put(pod("late", activeDeadlineSeconds=1))

    await world.until(lambda: world.status("late").get("phase") == "Failed")

    assert world.status("late")["reason"] == "DeadlineExceeded"
    await world.until(lambda: "terminated" in world.container("late")["state"])


async def test_a_services_reply_from_a_pod_of_the_same_node_is_translated_back(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    address = await world.run_pod(pod("web"))
    rules = f"""table ip kt {{
        chain pre {{
            type nat hook prerouting priority dstnat
            ip daddr 10.96.7.7 tcp dport 80 dnat to {address}:8080
        }}
        chain post {{
            type nat hook postrouting priority srcnat
            ip saddr {address} ip daddr {address} masquerade
        }}
    }}"""
    run("nft", rules)
    curl = "curl -s -m 3 http://10.96.7.7/ > /dev/termination-log"
    world.api.put(pod("client", restartPolicy="Never", container=shell(curl)))
    await world.until(lambda: world.status("client").get("phase") in ("Succeeded", "Failed"))
    async with world.session() as session:
        params = [("command", word) for word in ("curl", "-s", "-m", "3", "http://10.96.7.7/")] + [("stdout", "true")]
        url = "/exec/default/web/main"
        async with session.ws_connect(url, params=params, protocols=("v5.channel.k8s.io",)) as itself:
            hairpin = b"".join([message.data[1:] async for message in itself if message.data[0] == 1])

    assert world.container("client")["state"]["terminated"]["message"].startswith("web\n")
    assert hairpin.startswith(b"web\n")
    assert f"client: {world.options.node_ip}:".encode() in hairpin


async def test_a_read_only_root_still_has_its_volumes(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    script = "touch /etc/x || touch /here/y && ls /here > /dev/termination-log"
    container = shell(
        script,
        securityContext={"readOnlyRootFilesystem": True},
        volumeMounts=[{"name": "v", "mountPath": "/here"}],
    )
    world.api.put(pod("strict", restartPolicy="Never", volumes=[{"name": "v", "emptyDir": {}}], container=container))

    await world.until(lambda: world.status("strict").get("phase") in ("Succeeded", "Failed"))

    assert world.container("strict")["state"]["terminated"].get("message") == "y\n"


@pytest.mark.skipif(
    len(Path("/proc/self/uid_map").read_text().split()) < 3
    or int(Path("/proc/self/uid_map").read_text().split()[2]) < 2000,
    reason="this user namespace has root alone: run the tests with sudo",
)
async def test_a_pod_may_run_as_somebody_else(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    context = {"runAsUser": 1234, "runAsGroup": 1235, "fsGroup": 1236}
    script = "id -u; id -g; id -G; grep CapEff /proc/self/status; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    container = shell(f"({script}) > /dev/termination-log")
    world.api.put(pod("strict", restartPolicy="Never", securityContext=context, container=container))

    await world.until(lambda: world.status("strict").get("phase") in ("Succeeded", "Failed"))

    lines = world.container("strict")["state"]["terminated"]["message"].split("\n")
    assert lines[:3] == ["1234", "1235", "1235 1236"]
    assert int(lines[3].split()[1], 16) == 0
    # With neither root nor a capability it may answer on port 53.
    assert lines[4] == "0"
