"""Environment, downward API, expansion."""

from typing import Any

import msgspec
import pytest

from kubesvc.api.views import ConfigMap, Pod, Secret, Service, Volume
from kubesvc.node.downward import PodFacts
from kubesvc.node.environment import ConfigError, Sources, container_environment, references
from kubesvc.node.expansion import expand
from kubesvc.testing import builders

FACTS = PodFacts("10.244.1.5", "192.0.2.11", {"cpu": "4", "memory": "1024Ki"})
SOURCES = Sources(
    {
        "paint": msgspec.convert(
            {"metadata": {"name": "paint"}, "data": {"color": "blue", "not a name": "x"}}, ConfigMap
        )
    },
    {"door": msgspec.convert({"metadata": {"name": "door"}, "data": {"key": "c2VzYW1l"}}, Secret)},
)


def pod(*env: dict[str, Any], **container: Any) -> Pod:
    document = builders.pod("web", namespace="shop", node="node-1", labels={"app": "web"})
    document["spec"]["containers"][0] |= {"env": list(env), **container}
    document["metadata"] |= {"uid": "u-1", "annotations": {"note": 'say "hi"'}}
    return msgspec.convert(document, Pod)


def environment(*env: dict[str, Any], services: tuple[Service, ...] = (), **container: Any) -> dict[str, str]:
    it = pod(*env, **container)
    return container_environment(it, it.spec.containers[0], FACTS, SOURCES, services)


def service(name: str, namespace: str = "shop", **fields: Any) -> Service:
    return msgspec.convert(builders.service(name, namespace=namespace, **fields), Service)


def field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['note']", 'say "hi"'),
        ("spec.nodeName", "node-1"),
        ("status.podIP", "10.244.1.5"),
        ("status.hostIP", "192.0.2.11"),
    ],
)
def test_a_field_reference_is_the_pods_own_value(path: str, value: str) -> None:
    assert environment(field("X", path))["X"] == value


def test_an_unknown_field_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"unsupported fieldPath: spec\.colour"):
        environment(field("X", "spec.colour"))


def test_limits_come_in_units_of_the_divisor_and_default_to_the_nodes() -> None:
    def limit(resource: str, divisor: str) -> dict[str, Any]:
        return {"name": "X", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}

    resources = {"limits": {"cpu": "250m"}, "requests": {"memory": "64Mi"}}
    assert environment(limit("limits.cpu", "1m"), resources=resources)["X"] == "250"
    assert environment(limit("limits.cpu", "1"), resources=resources)["X"] == "1"
    assert environment(limit("requests.memory", "1Mi"), resources=resources)["X"] == "64"
    assert environment(limit("limits.memory", "1Ki"), resources=resources)["X"] == "1024"


def test_config_maps_and_secrets_give_single_keys_and_whole_sets() -> None:
    env = environment(
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "paint", "key": "color"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "door", "key": "key"}}},
        envFrom=[{"prefix": "P_", "configMapRef": {"name": "paint"}}, {"secretRef": {"name": "door"}}],
    )
    assert (env["COLOR"], env["KEY"], env["P_color"], env["key"]) == ("blue", "sesame", "blue", "sesame")
    assert "P_not a name" not in env


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"configMapKeyRef": {"name": "paint", "key": "k"}}, "couldn't find key k in ConfigMap shop/paint"),
    ],
)
def test_what_is_missing_is_named_unless_it_is_optional(reference: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as failure:
        environment({"name": "X", "valueFrom": reference})
    assert str(failure.value) == message
    kind = next(iter(reference))
    assert "X" not in environment({"name": "X", "valueFrom": {kind: {**reference[kind], "optional": True}}})


def test_a_missing_env_from_is_named() -> None:
    with pytest.raises(ConfigError, match='secret "gone" not found'):
        environment(envFrom=[{"secretRef": {"name": "gone"}}])


def test_services_of_the_namespace_and_the_api_are_announced() -> None:
    named = service("web-flask", port=3000)
    kubernetes = service("kubernetes", "default", port=443, cluster_ip="10.96.0.1")
    env = environment(services=(named, kubernetes, service("other", "elsewhere"), service("none", cluster_ip="None")))
    assert env["WEB_FLASK_SERVICE_HOST"] == "10.96.0.100"
    assert env["WEB_FLASK_SERVICE_PORT"] == "3000"
    assert env["WEB_FLASK_PORT_3000_TCP"] == "tcp://10.96.0.100:3000"
    assert env["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert not [name for name in env if name.startswith(("OTHER", "NONE"))]


def test_without_service_links_only_the_api_is_announced() -> None:
    it = msgspec.convert(builders.pod("web", namespace="shop", enableServiceLinks=False), Pod)
    services = (service("web"), service("kubernetes", "default", cluster_ip="10.96.0.1"))
    env = container_environment(it, it.spec.containers[0], FACTS, SOURCES, services)
    assert "WEB_SERVICE_HOST" not in env
    assert env["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"


def test_later_variables_may_use_earlier_ones_and_services() -> None:
    env = environment(
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)2 $(LATER) $$(A) $(WEB_SERVICE_HOST)"},
        {"name": "LATER", "value": "3"},
        services=(service("web"),),
    )
    assert env["B"] == "12 $(LATER) $(A) 10.96.0.100"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$(NO)", "$(NO)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_expansion_follows_the_rules_of_the_pod_api(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


def test_references_name_everything_that_has_to_be_fetched() -> None:
    it = pod(
        {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "k"}}},
        envFrom=[{"secretRef": {"name": "b"}}],
    )
    volume = msgspec.convert({"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}]}}, Volume)
    found = references(it, (volume,))
    assert found.config_maps == {"a", "c"}
    assert found.secrets == {"b"}
