"""The lab of Kubernetes Services, step by step, with kubectl and real packets."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kubesvc.cli.demo.stage import EXAMPLES
from kubesvc.testing.cluster import Cluster

Eventually = Callable[[Callable[[], Any]], Any]
Forcurl = Callable[..., str]


@pytest.fixture
def web(kubesvc: Cluster, namespace: str) -> Cluster:
    """web-flask with three ready replicas, and the deck's Service in front of it."""
    kubesvc.apply(EXAMPLES / "web-flask.yaml", namespace=namespace)
    kubesvc.apply(EXAMPLES / "web-flask-clusterip.yaml", namespace=namespace)
    kubesvc.wait_for("svc/web-flask-svc", "endpoints=3", namespace=namespace)
    return kubesvc


def names_answering(forcurl: Forcurl, url: str, requests: int = 30) -> set[str]:
    loop = f"for i in $(seq {requests}); do curl -sS --max-time 3 {url} | head -n 1; done"
    return set(forcurl("sh", "-c", loop).split())


def from_outside(url: str) -> str:
    """curl on the machine itself; only addresses of the cluster's own networks may be asked."""
    done = subprocess.run(["curl", "-sS", "--max-time", "2", url], capture_output=True, text=True, check=False)
    return done.stdout


def answers_from_outside(url: str) -> bool:
    return from_outside(url).startswith("web-flask-")


def node_addresses(cluster: Cluster) -> list[str]:
    items = cluster.get("nodes")["items"]
    return [a["address"] for item in items for a in item["status"]["addresses"] if a["type"] == "InternalIP"]


def test_a_pod_reaches_another_by_its_address(web: Cluster, namespace: str, forcurl: Forcurl) -> None:
    pods = web.get("pods", namespace=namespace, selector="app=web-flask")["items"]
    for pod in pods:
        answer = forcurl("curl", "-sS", f"http://{pod['status']['podIP']}:5000")
        assert answer.splitlines()[0] == pod["metadata"]["name"]


def test_a_service_name_reaches_every_replica(
    web: Cluster, namespace: str, forcurl: Forcurl, eventually: Eventually
) -> None:
    eventually(lambda: len(names_answering(forcurl, "web-flask-svc:3000")) == 3)


def test_names_work_across_namespaces_as_the_specification_says(
    web: Cluster, namespace: str, eventually: Eventually
) -> None:
    forcurl = (EXAMPLES / "forcurl.yaml").read_text()
    web.apply(forcurl, namespace="default")
    web.wait_for("pod/forcurl", "condition=Ready")

    def answers(name: str) -> bool:
        return web.exec("forcurl", "curl", "-sS", f"{name}:3000", check=False).startswith("web-flask-")

    for name in (f"web-flask-svc.{namespace}", f"web-flask-svc.{namespace}.svc.cluster.local"):
        eventually(partial(answers, name))
    refused = web.exec("forcurl", "sh", "-c", "getent hosts web-flask-svc || echo unknown")
    assert refused.strip() == "unknown"


def test_a_node_port_answers_on_every_node_also_where_no_pod_runs(
    web: Cluster, namespace: str, eventually: Eventually
) -> None:
    web.apply(EXAMPLES / "web-flask-nodeport.yaml", namespace=namespace)
    web.kubectl("scale", "-n", namespace, "deploy/web-flask", "--replicas=1")
    web.wait_for("svc/web-flask-svc", "endpoints=1", namespace=namespace)
    addresses = node_addresses(web)
    assert len(addresses) == 2
    for address in addresses:
        eventually(partial(answers_from_outside, f"http://{address}:30480"))
    web.kubectl("delete", "svc", "web-flask-svc", "-n", namespace)


def test_endpoints_follow_the_scale_of_a_deployment(web: Cluster, namespace: str) -> None:
    for replicas in (5, 0, 2):
        web.kubectl("scale", "-n", namespace, "deploy/web-flask", f"--replicas={replicas}")
        web.wait_for("svc/web-flask-svc", f"endpoints={replicas}", namespace=namespace)
    subsets = web.get("endpoints", "web-flask-svc", namespace=namespace)["subsets"]
    assert len(subsets[0]["addresses"]) == 2


def test_a_pod_that_dies_under_load_costs_no_request(web: Cluster, namespace: str, forcurl: Forcurl) -> None:
    victim = web.get("pods", namespace=namespace, selector="app=web-flask")["items"][0]["metadata"]["name"]
    script = (
        "for i in $(seq 150); do curl -sS --max-time 3 web-flask-svc:3000 | head -n 1; echo >&2; done & "
        "wait; echo ended"
    )
    web.kubectl("delete", "pod", victim, "-n", namespace, "--wait=false")
    answers = forcurl("sh", "-c", script).split()
    assert answers[-1] == "ended"
    assert len(answers) == 151
    assert all(answer.startswith("web-flask-") for answer in answers[:-1])
    web.wait_for("svc/web-flask-svc", "endpoints=3", namespace=namespace)


def test_selectors_are_a_boolean_and_and_relabelling_moves_pods_at_once(
    kubesvc: Cluster, namespace: str, eventually: Eventually
) -> None:
    kubesvc.apply(EXAMPLES / "zones.yaml", namespace=namespace)

    def members() -> set[str]:
        slices = kubesvc.get("endpointslices", namespace=namespace, selector="kubernetes.io/service-name=prod-v1")[
            "items"
        ]
        return {endpoint["targetRef"]["name"] for piece in slices for endpoint in piece.get("endpoints") or ()}

    eventually(lambda: members() == {"both", "both-and-more"})
    kubesvc.kubectl("label", "-n", namespace, "pod", "no-version", "version=v1")
    eventually(lambda: members() == {"both", "both-and-more", "no-version"})
    kubesvc.kubectl("label", "-n", namespace, "pod", "both", "zone=test", "--overwrite")
    eventually(lambda: members() == {"both-and-more", "no-version"})


def test_a_load_balancer_address_answers_from_outside(web: Cluster, namespace: str, eventually: Eventually) -> None:
    web.apply(EXAMPLES / "web-flask-loadbalancer.yaml", namespace=namespace)
    address = eventually(
        lambda: (web.get("svc", "web-flask-svc", namespace=namespace)["status"]["loadBalancer"] or {}).get("ingress")
    )[0]["ip"]
    eventually(lambda: from_outside(f"http://{address}:3000").startswith("web-flask-"))


def test_an_external_name_is_a_cname(
    kubesvc: Cluster, namespace: str, forcurl: Forcurl, eventually: Eventually
) -> None:
    kubesvc.apply(EXAMPLES / "mysql-server.yaml", namespace=namespace)
    name = f"mysql-server.{namespace}.svc.cluster.local"
    answer = eventually(lambda: forcurl("dig", "+short", name, "CNAME"))
    assert answer.strip() == "serdar.cbanmzptkrzf.us-east-1.rds.amazonaws.com."


def test_the_rules_of_a_deleted_service_go_from_every_node(
    web: Cluster, namespace: str, eventually: Eventually
) -> None:
    address = web.get("svc", "web-flask-svc", namespace=namespace)["spec"]["clusterIP"]

    def nodes_with_rules() -> list[str]:
        return [node for node in web.node_names if address in rules(web.node_netns(node))]

    eventually(lambda: nodes_with_rules() == web.node_names)
    web.kubectl("delete", "svc", "web-flask-svc", "-n", namespace)
    eventually(lambda: not nodes_with_rules())


def test_a_service_without_endpoints_refuses_instead_of_hanging(
    kubesvc: Cluster, namespace: str, forcurl: Forcurl, eventually: Eventually
) -> None:
    kubesvc.apply(EXAMPLES / "web-flask-clusterip.yaml", namespace=namespace)
    script = "curl -s --max-time 3 -o /dev/null web-flask-svc:3000; echo $?"
    eventually(lambda: forcurl("sh", "-c", script).strip() == "7")


def rules(netns: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", netns, "nft", "-j", "list", "ruleset"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["nftables"]
    return done.stdout
