"""Documents held against the table: unknown fields, types, repeated keys, absence."""

from typing import Any

import pytest
from hypothesis import given
from tests.unit.api.documents import documents

from kubesvc.api.schema import check_types, duplicate_fields, normalize, require_types, unknown_fields
from kubesvc.api.status import BadRequest

SERVICE = "core.v1.Service"


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


# Unknown fields


def test_unknown_fields_are_named_by_their_paths_in_document_order() -> None:
    document = service(ports=[{"port": 80}, {"port": 81, "targetport": 8080}], selektor={"app": "web"})
    document["metadata"]["label"] = {}
    document["stauts"] = {}
    assert unknown_fields(document, SERVICE) == [
        "metadata.label", "spec.ports[1].targetport", "spec.selektor", "stauts",
    ]  # fmt: skip


def test_keys_of_maps_are_never_unknown() -> None:
    assert unknown_fields(service(selector={"anything": "goes"}), SERVICE) == []


def test_fields_inside_map_values_and_inlined_types_are_checked() -> None:
    pod = {"spec": {"volumes": [{"name": "v", "emptyDir": {"size": 1}, "volumeSource": {}}]}}
    assert unknown_fields(pod, "core.v1.Pod") == ["spec.volumes[0].emptyDir.size", "spec.volumes[0].volumeSource"]


def test_api_version_and_kind_belong_to_objects_only() -> None:
    template = {"kind": "Pod", "spec": {"containers": []}}
    assert unknown_fields({"spec": {"template": template}}, "apps.v1.Deployment") == ["spec.template.kind"]


def test_field_names_are_case_sensitive() -> None:
    assert unknown_fields(service(clusterIp="None"), SERVICE) == ["spec.clusterIp"]


def test_free_form_json_has_no_unknown_fields() -> None:
    entry = {"manager": "me", "fieldsV1": {"f:spec": {"f:ports": {}}}}
    assert unknown_fields({"metadata": {"managedFields": [entry]}}, SERVICE) == []


# Repeated keys


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (b'{"a": 1, "b": {"a": 2}}', []),
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"spec": {"ports": [{"port": 1}, {"port": 2, "port": 3}]}}', ["spec.ports[1].port"]),
        (b"[]", []),
    ],
)
def test_repeated_keys_are_found(text: bytes, paths: list[str]) -> None:
    assert duplicate_fields(text) == paths


# Types


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"ports": [{"port": "abc"}]},
            "json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            {"ports": {"port": 80}},
            "json: cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
        ),
        (
            {"selector": "app=web"},
            "json: cannot unmarshal string into Go struct field ServiceSpec.spec.selector of type map[string]string",
        ),
        (
            {"selector": {"version": 1}},
            "json: cannot unmarshal number into Go struct field ServiceSpec.spec.selector of type string",
        ),
        (
            {"publishNotReadyAddresses": "yes"},
            "json: cannot unmarshal string into Go struct field ServiceSpec.spec.publishNotReadyAddresses of type bool",
        ),
        (
            {"ports": [{"port": 2**40}]},
            f"json: cannot unmarshal number {2**40} into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            {"ports": [{"port": 80.5}]},
            "json: cannot unmarshal number 80.5 into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            {"ports": [{"port": True}]},
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            {"ports": [{"port": 80, "targetPort": True}]},
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
    ],
)
def test_a_mistyped_value_is_named_as_the_api_names_it(spec: dict[str, Any], problem: str) -> None:
    assert check_types(service(**spec), SERVICE) == [problem]


def test_a_refusal_names_kind_and_version() -> None:
    with pytest.raises(BadRequest, match=r'^Service in version "v1" cannot be handled as a Service: json: cannot'):
        require_types(service(ports=[{"port": "abc"}]), SERVICE)


def test_what_is_not_an_object_is_refused_whole() -> None:
    assert check_types([], SERVICE) == ["json: cannot unmarshal array into Go value of type v1.Service"]


def test_null_fits_everywhere() -> None:
    assert check_types(service(ports=None, selector=None, clusterIP=None), SERVICE) == []
    assert check_types(service(ports=[None], selector={"a": None}), SERVICE) == []


@pytest.mark.parametrize("amount", ["500m", "1.5", "64Mi", "1e3", "12E", 2, 0.5, "", "-1"])
def test_quantities_are_strings_or_numbers(amount: Any) -> None:
    assert check_types({"status": {"capacity": {"cpu": amount}}}, "core.v1.Node") == []


@pytest.mark.parametrize("amount", ["lots", "1 Gi", True, [], {}])
def test_other_quantities_are_refused(amount: Any) -> None:
    assert len(check_types({"status": {"capacity": {"cpu": amount}}}, "core.v1.Node")) == 1


@pytest.mark.parametrize(
    ("moment", "fits"),
    [("2026-11-22T13:00:00Z", True), ("2026-11-22T13:00:00.5+01:00", True), ("yesterday", False), (12, False)],
)
def test_times_are_rfc_3339(moment: Any, fits: bool) -> None:
    problems = check_types({"metadata": {"creationTimestamp": moment}}, SERVICE)
    assert (problems == []) is fits


@pytest.mark.parametrize(("value", "fits"), [("czNjcmV0", True), ("", True), ("not base64!", False), (1, False)])
def test_secret_values_are_base64(value: Any, fits: bool) -> None:
    assert (check_types({"data": {"word": value}}, "core.v1.Secret") == []) is fits


# Absence


def test_normalizing_drops_nulls_unknown_fields_and_zeros_that_mean_absence() -> None:
    document = service(
        ports=[{"name": "", "port": 80, "nodePort": 0, "bar": 1}],
        selector={},
        externalIPs=[],
        clusterIP="",
        allocateLoadBalancerNodePorts=False,
        typ="ClusterIP",
    )
    document["metadata"]["creationTimestamp"] = None
    assert normalize(document, SERVICE) == service(ports=[{"port": 80}], allocateLoadBalancerNodePorts=False)


def test_normalizing_keeps_empty_objects_and_required_zeros() -> None:
    pod = {"spec": {"containers": [], "volumes": [{"name": "", "emptyDir": {}}]}}
    assert normalize(pod, "core.v1.Pod") == pod


def test_null_elements_become_zeros() -> None:
    assert normalize(service(ports=[None], selector={"a": None}), SERVICE)["spec"] == {
        "ports": [{}], "selector": {"a": ""},
    }  # fmt: skip


def test_whole_numbers_written_as_floats_become_integers() -> None:
    port = normalize(service(ports=[{"port": 80.0}]), SERVICE)["spec"]["ports"][0]["port"]
    assert isinstance(port, int)


@given(documents(SERVICE))
def test_documents_that_fit_have_nothing_to_report_and_normalizing_is_idempotent(document: dict[str, Any]) -> None:
    assert unknown_fields(document, SERVICE) == []
    assert check_types(document, SERVICE) == []
    once = normalize(document, SERVICE)
    assert normalize(once, SERVICE) == once
