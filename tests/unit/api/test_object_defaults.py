"""Defaults of every kind but the Service."""

from base64 import b64decode
from copy import deepcopy
from typing import Any

import pytest

from kubesvc.api import resources as r
from kubesvc.api.defaults import apply_defaults
from kubesvc.api.defaults.pod import default_pull_policy

Document = dict[str, Any]


def defaulted(resource: r.Resource, **fields: Any) -> Document:
    obj: Document = {"metadata": {"name": "x", "namespace": "shop"}, **fields}
    apply_defaults(resource, obj)
    twice = deepcopy(obj)
    apply_defaults(resource, twice)
    assert twice == obj
    return obj


def pod(*, container: Document | None = None, **spec: Any) -> Document:
    containers = [{"name": "c", "image": "app:1", **(container or {})}]
    obj = defaulted(r.PODS, spec={"containers": containers, **spec})
    found: Document = obj["spec"]
    return found


def test_a_pod_gets_what_the_kubelet_relies_on() -> None:
    spec = pod()
    assert spec | {"containers": []} == {
        "containers": [],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "enableServiceLinks": True,
    }
    assert spec["containers"][0] == {
        "name": "c",
        "image": "app:1",
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": {},
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("app", "Always"),
        ("app:latest", "Always"),
        ("app:1", "IfNotPresent"),
        ("registry:5000/app", "Always"),
        ("registry:5000/app:1", "IfNotPresent"),
        ("app@sha256:0", "IfNotPresent"),
    ],
)
def test_only_floating_tags_are_always_pulled(image: str, policy: str) -> None:
    assert default_pull_policy(image) == policy


def test_probes_ports_and_references_are_completed() -> None:
    container = pod(
        container={
            "ports": [{"containerPort": 80}],
            "readinessProbe": {"httpGet": {"port": 80}},
            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
        }
    )["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["lifecycle"]["preStop"]["httpGet"]["scheme"] == "HTTP"


def test_requests_come_from_limits_and_amounts_are_canonical() -> None:
    limits = {"cpu": "0.5", "memory": "1024Mi"}
    container = pod(container={"resources": {"limits": limits, "requests": {"cpu": "100m"}}})["containers"][0]
    assert container["resources"] == {
        "limits": {"cpu": "500m", "memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "1Gi"},
    }


def test_ports_on_the_host_network_are_ports_of_the_host() -> None:
    container = pod(hostNetwork=True, container={"ports": [{"containerPort": 80}]})["containers"][0]
    assert container["ports"][0]["hostPort"] == 80


def test_volumes_get_modes_and_empty_ones_are_directories() -> None:
    volumes = pod(
        volumes=[
            {"name": "a"},
            {"name": "b", "configMap": {"name": "x"}},
            {"name": "c", "hostPath": {"path": "/x"}},
            {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"name": "e", "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        ]
    )["volumes"]
    assert volumes[0]["emptyDir"] == {}
    assert volumes[1]["configMap"]["defaultMode"] == 0o644
    assert volumes[2]["hostPath"]["type"] == ""
    assert volumes[3]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600
    assert volumes[4]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"


def test_the_old_spelling_of_the_account_names_it_too() -> None:
    assert pod(serviceAccount="robot")["serviceAccountName"] == "robot"


def test_a_deployment_rolls_a_quarter_at_a_time() -> None:
    obj = defaulted(r.DEPLOYMENTS, spec={"template": {"spec": {"containers": [{"name": "c", "image": "a:1"}]}}})
    spec = obj["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    template = spec["template"]["spec"]
    assert template["restartPolicy"] == "Always"
    assert "serviceAccountName" not in template
    assert "enableServiceLinks" not in template


def test_a_deployment_may_have_no_replicas_and_recreate_has_no_rolling_update() -> None:
    spec = defaulted(r.DEPLOYMENTS, spec={"replicas": 0, "strategy": {"type": "Recreate"}})["spec"]
    assert spec["replicas"] == 0
    assert spec["strategy"] == {"type": "Recreate"}


def test_a_replica_set_has_one_replica() -> None:
    assert defaulted(r.REPLICASETS, spec={})["spec"]["replicas"] == 1


def test_a_namespace_is_labelled_with_its_name() -> None:
    obj = defaulted(r.NAMESPACES)
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert obj["status"] == {"phase": "Active"}


def test_a_secret_keeps_string_data_as_base64() -> None:
    obj = defaulted(r.SECRETS, stringData={"password": "geheim"}, data={"user": "YQ=="})
    assert obj["type"] == "Opaque"
    assert "stringData" not in obj
    assert b64decode(obj["data"]["password"]) == b"geheim"
    assert obj["data"]["user"] == "YQ=="


def test_slices_and_endpoints_speak_tcp() -> None:
    slice_ = defaulted(r.ENDPOINTSLICES, addressType="IPv4", ports=[{"port": 80}])
    assert slice_["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]
    endpoints = defaulted(r.ENDPOINTS, subsets=[{"ports": [{"port": 80}]}])
    assert endpoints["subsets"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]


def test_a_node_offers_all_it_has_and_spells_its_range_both_ways() -> None:
    obj = defaulted(r.NODES, spec={"podCIDR": "10.244.1.0/24"}, status={"capacity": {"cpu": "2"}})
    assert obj["status"]["allocatable"] == {"cpu": "2"}
    assert obj["spec"]["podCIDRs"] == ["10.244.1.0/24"]


def test_kinds_without_defaults_are_left_alone() -> None:
    assert defaulted(r.LEASES) == {"metadata": {"name": "x", "namespace": "shop"}}
