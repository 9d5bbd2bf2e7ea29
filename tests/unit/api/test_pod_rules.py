"""The rules of pods, new and changed."""

from copy import deepcopy
from typing import Any

import pytest

from kubesvc.api.defaults import apply_defaults
from kubesvc.api.resources import PODS
from kubesvc.api.strategy import prepare_create
from kubesvc.api.validation import validate_create, validate_update

Document = dict[str, Any]
RANGE = "must be between 1 and 65535, inclusive"


def pod(*, container: Document | None = None, **spec: Any) -> Document:
    containers = [{"name": "c", "image": "app:1"} | (container or {})]
    obj: Document = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"containers": containers} | spec}
    apply_defaults(PODS, obj)
    prepare_create(PODS, obj)
    return obj


def errors(**spec: Any) -> list[str]:
    return [str(error) for error in validate_create(PODS, pod(**spec))]


def container_errors(**container: Any) -> list[str]:
    return [error.removeprefix("spec.containers[0].") for error in errors(container=container)]


def test_a_pod_needs_a_container_with_a_name_and_an_image() -> None:
    assert errors() == []
    assert errors(containers=[]) == ["spec.containers: Required value"]
    assert container_errors(name="") == ["name: Required value"]
    assert container_errors(image="") == ["image: Required value"]
    assert container_errors(image=" app") == [
        'image: Invalid value: " app": must not have leading or trailing whitespace'
    ]


def test_container_names_are_unique_among_all_containers() -> None:
    init = [{"name": "c", "image": "app:1"}]
    assert errors(initContainers=init) == ['spec.initContainers[0].name: Duplicate value: "c"']


@pytest.mark.parametrize(
    ("port", "error"),
    [
        ({}, "containerPort: Required value"),
        ({"containerPort": 70000}, f"containerPort: Invalid value: 70000: {RANGE}"),
        ({"containerPort": 80, "hostPort": -1}, f"hostPort: Invalid value: -1: {RANGE}"),
        (
            {"containerPort": 80, "protocol": "X"},
            'protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
        ),
        ({"containerPort": 80, "name": "8080"}, 'name: Invalid value: "8080": must contain at least one letter (a-z)'),
    ],
)
def test_ports_are_checked(port: Document, error: str) -> None:
    assert container_errors(ports=[port]) == [f"ports[0].{error}"]


def test_port_names_and_host_ports_are_unique() -> None:
    same_name = [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]
    assert container_errors(ports=same_name) == ['ports[1].name: Duplicate value: "a"']
    same_host = [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]
    assert container_errors(ports=same_host) == ['ports[1].hostPort: Duplicate value: "TCP//9"']


def test_host_network_ports_are_what_they_are_on_the_host() -> None:
    [error] = errors(hostNetwork=True, container={"ports": [{"containerPort": 80, "hostPort": 81}]})
    assert error.endswith("Invalid value: 80: must match `hostPort` when `hostNetwork` is true")


def test_mounts_refer_to_volumes_and_do_not_share_a_path() -> None:
    volumes = [{"name": "data"}]
    assert errors(volumes=volumes, container={"volumeMounts": [{"name": "data", "mountPath": "/d"}]}) == []
    assert container_errors(volumeMounts=[{"name": "data", "mountPath": "/d"}]) == [
        'volumeMounts[0].name: Not found: "data"'
    ]
    twice = [{"name": "data", "mountPath": "/d"}] * 2
    assert errors(volumes=volumes, container={"volumeMounts": twice}) == [
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/d": must be unique'
    ]
    upwards = [{"name": "data", "mountPath": "/d", "subPath": "../x"}]
    assert errors(volumes=volumes, container={"volumeMounts": upwards}) == [
        "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"../x\": must not contain '..'"
    ]


@pytest.mark.parametrize(
    ("volume", "error"),
    [
        ({}, "name: Required value"),
        ({"name": "A"}, 'name: Invalid value: "A"'),
        (
            {"name": "a", "emptyDir": {}, "configMap": {"name": "x"}},
            "configMap: Forbidden: may not specify more than 1",
        ),
        ({"name": "a", "configMap": {}}, "configMap.name: Required value"),
        ({"name": "a", "secret": {}}, "secret.secretName: Required value"),
        ({"name": "a", "hostPath": {}}, "hostPath.path: Required value"),
        ({"name": "a", "hostPath": {"path": "/a/../b"}}, "hostPath.path: Invalid value"),
        ({"name": "a", "hostPath": {"path": "/a", "type": "Dir"}}, 'hostPath.type: Unsupported value: "Dir"'),
        ({"name": "a", "configMap": {"name": "x", "defaultMode": 512}}, "configMap.defaultMode: Invalid value: 512"),
        (
            {"name": "a", "secret": {"secretName": "x", "items": [{"key": "k", "path": "/p"}]}},
            'secret.items[0].path: Invalid value: "/p": must be a relative path',
        ),
        (
            {"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]}},
            "projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5",
        ),
    ],
)
def test_volumes_have_one_complete_source(volume: Document, error: str) -> None:
    assert errors(volumes=[volume])[0].startswith(f"spec.volumes[0].{error}")


def test_volume_names_are_unique() -> None:
    assert errors(volumes=[{"name": "a"}, {"name": "a"}]) == ['spec.volumes[1].name: Duplicate value: "a"']


@pytest.mark.parametrize(
    ("probe", "error"),
    [
        ({}, "readinessProbe: Required value: must specify a handler type"),
        ({"exec": {}}, "readinessProbe.exec.command: Required value"),
        ({"tcpSocket": {"port": 0}}, f"readinessProbe.tcpSocket.port: Invalid value: 0: {RANGE}"),
        ({"httpGet": {"port": "A"}}, 'readinessProbe.httpGet.port: Invalid value: "A": must contain only'),
        ({"httpGet": {"port": 1, "scheme": "FTP"}}, 'readinessProbe.httpGet.scheme: Unsupported value: "FTP"'),
        (
            {"httpGet": {"port": 1}, "tcpSocket": {"port": 1}},
            "readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        ({"tcpSocket": {"port": 1}, "periodSeconds": -1}, "readinessProbe.periodSeconds: Invalid value: -1: must be"),
    ],
)
def test_probes_have_one_handler_and_no_negative_counts(probe: Document, error: str) -> None:
    assert container_errors(readinessProbe=probe)[0].startswith(error)


def test_one_success_is_enough_to_be_alive() -> None:
    probe = {"tcpSocket": {"port": 1}, "successThreshold": 2}
    assert container_errors(readinessProbe=probe) == []
    assert container_errors(livenessProbe=probe) == ["livenessProbe.successThreshold: Invalid value: 2: must be 1"]


def test_init_containers_have_no_probes_unless_they_stay() -> None:
    init = {"name": "i", "image": "app:1", "readinessProbe": {"tcpSocket": {"port": 1}}}
    why = "may not be set for init containers without restartPolicy=Always"
    assert errors(initContainers=[init]) == [f"spec.initContainers[0].readinessProbe: Forbidden: {why}"]
    assert errors(initContainers=[init | {"restartPolicy": "Always"}]) == []


@pytest.mark.parametrize(
    ("variable", "error"),
    [
        ({}, "env[0].name: Required value"),
        ({"name": "A=B"}, 'env[0].name: Invalid value: "A=B"'),
        ({"name": "A", "valueFrom": {}}, 'env[0].valueFrom: Invalid value: "": must specify one of'),
        (
            {"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            'env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ),
        (
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}},
            'env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase"',
        ),
        ({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x"}}}, "env[0].valueFrom.configMapKeyRef.key: Req"),
        (
            {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}},
            'env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu"',
        ),
    ],
)
def test_environment_variables_have_a_name_and_one_source(variable: Document, error: str) -> None:
    assert container_errors(env=[variable])[0].startswith(error)


def test_labels_and_annotations_are_valid_sources() -> None:
    refs = ("metadata.labels['app']", "metadata.annotations['a/b']", "spec.nodeName", "status.hostIP")
    env = [{"name": f"V{i}", "valueFrom": {"fieldRef": {"fieldPath": ref}}} for i, ref in enumerate(refs)]
    assert container_errors(env=env) == []


def test_requests_do_not_exceed_limits() -> None:
    resources = {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}
    assert container_errors(resources=resources) == [
        'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'
    ]
    assert container_errors(resources={"limits": {"cpu": "much"}})[0].startswith(
        'resources.limits[cpu]: Invalid value: "much": quantities must match the regular expression'
    )


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (
            {"restartPolicy": "Sometimes"},
            'restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
        ({"dnsPolicy": "Mine"}, 'dnsPolicy: Unsupported value: "Mine"'),
        ({"dnsPolicy": "None"}, "dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        ({"dnsPolicy": "None", "dnsConfig": {}}, "dnsConfig.nameservers: Required value: must provide at least one"),
        (
            {"dnsConfig": {"nameservers": ["1.1.1.1"] * 4}},
            'dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1"]: must not have',
        ),
        ({"dnsConfig": {"searches": ["A B"]}}, 'dnsConfig.searches[0]: Invalid value: "A B"'),
        ({"dnsConfig": {"searches": ["x"] * 33}}, "dnsConfig.searches: Invalid value: "),
        ({"hostAliases": [{"ip": "x"}]}, 'hostAliases[0].ip: Invalid value: "x": must be a valid IP address'),
        ({"hostAliases": [{"ip": "::1", "hostnames": ["A"]}]}, 'hostAliases[0].hostnames: Invalid value: "A"'),
        ({"hostname": "a.b"}, 'hostname: Invalid value: "a.b": must not contain dots'),
        ({"nodeSelector": {"a b": ""}}, 'nodeSelector: Invalid value: "a b"'),
        ({"activeDeadlineSeconds": 0}, "activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647"),
        ({"terminationGracePeriodSeconds": -1}, "terminationGracePeriodSeconds: Invalid value: -1: must be greater"),
        ({"tolerations": [{"effect": "NoExecute"}]}, 'tolerations[0].operator: Invalid value: "": operator must be'),
        (
            {"tolerations": [{"key": "a", "tolerationSeconds": 5}]},
            "tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute'",
        ),
    ],
)
def test_the_spec_is_checked(spec: Document, error: str) -> None:
    assert errors(**spec)[0].startswith(f"spec.{error}")


def test_searches_may_be_the_root_or_hold_underscores() -> None:
    assert errors(dnsConfig={"searches": [".", "_tcp.example.com", "example.com."]}) == []


# Updates


def changes(old: Document, **spec: Any) -> list[str]:
    new = deepcopy(old)
    new["metadata"]["resourceVersion"] = "1"
    new["spec"] |= spec
    return [str(error) for error in validate_update(PODS, new, old)]


def test_images_and_labels_may_change() -> None:
    old = pod()
    image = [old["spec"]["containers"][0] | {"image": "app:2"}]
    assert changes(old, containers=image) == []


def test_anything_else_is_forbidden_and_the_change_is_shown() -> None:
    [error] = changes(pod(), restartPolicy="Never")
    assert error.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,")
    assert '\n  spec.restartPolicy: "Always" -> "Never"\n' in error


def test_absent_and_empty_are_no_change() -> None:
    assert changes(pod(), hostNetwork=False, volumes=[], nodeSelector={}) == []


def test_containers_are_neither_added_nor_removed() -> None:
    old = pod()
    more = [*old["spec"]["containers"], old["spec"]["containers"][0] | {"name": "d"}]
    assert "spec.containers: Forbidden: pod updates may not add or remove containers" in changes(old, containers=more)


def test_the_deadline_only_shrinks() -> None:
    assert changes(pod(), activeDeadlineSeconds=10) == []
    assert changes(pod(activeDeadlineSeconds=10), activeDeadlineSeconds=5) == []
    assert changes(pod(activeDeadlineSeconds=10), activeDeadlineSeconds=11) == [
        "spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value"
    ]
    assert changes(pod(activeDeadlineSeconds=10), activeDeadlineSeconds=None) == [
        "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
    ]


def test_tolerations_are_only_added() -> None:
    first = {"key": "a", "operator": "Exists"}
    old = pod(tolerations=[first])
    assert changes(old, tolerations=[first, {"key": "b", "operator": "Exists"}]) == []
    assert changes(old, tolerations=[]) == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    ]
