"""OpenAPI: what kubectl looks for is there, references lead somewhere, and descriptions speak of real fields."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kubesvc.api.resources import RESOURCES, Resource
from kubesvc.api.table import schema
from kubesvc.api.wire import read_fields
from kubesvc.apiserver.descriptions import DESCRIPTIONS, ENUMS
from kubesvc.apiserver.openapi import document

SERVICE = "io.k8s.api.core.v1.Service"


def fetched(path: str) -> dict[str, Any]:
    found = document(path)
    assert found is not None, path
    decoded: dict[str, Any] = json.loads(found[0])
    return decoded


def home(resource: Resource) -> str:
    """The path of the document that describes a resource."""
    return f"/openapi/v3/{'apis' if resource.group else 'api'}/{resource.group_version}"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_the_index_leads_to_every_version_by_urls_that_carry_a_hash() -> None:
    paths = fetched("/openapi/v3")["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/discovery.k8s.io/v1"} <= paths.keys()
    for where, entry in paths.items():
        path, _, mark = entry["serverRelativeURL"].partition("?hash=")
        assert path == f"/openapi/v3/{where}"
        assert len(mark) == 32
        assert fetched(path)["openapi"] == "3.0.0"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.group_resource)
def test_patching_any_kind_takes_field_validation(resource: Resource) -> None:
    item = f"{resource.path('{namespace}' if resource.namespaced else None)}/{{name}}"
    operation = fetched(home(resource))["paths"][item]["patch"]
    assert operation["x-kubernetes-group-version-kind"] == {
        "group": resource.group, "version": resource.version, "kind": resource.kind,
    }  # fmt: skip
    assert "fieldValidation" in [parameter["name"] for parameter in operation["parameters"]]


@pytest.mark.parametrize("path", ["/openapi/v2", *sorted({home(resource) for resource in RESOURCES})])
def test_every_reference_leads_to_a_definition(path: str) -> None:
    content = fetched(path)
    known = content["definitions"] if "swagger" in content else content["components"]["schemas"]
    prefix = "#/definitions/" if "swagger" in content else "#/components/schemas/"
    wanted = set(references(content))
    assert wanted
    assert {reference.removeprefix(prefix) for reference in wanted} <= known.keys()


def test_a_service_is_described_with_merge_keys_and_its_kind() -> None:
    schemas = fetched("/openapi/v3/api/v1")["components"]["schemas"]
    assert schemas[SERVICE]["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "Service", "version": "v1"}]
    ports = schemas[f"{SERVICE}Spec"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "port"
    assert ports["x-kubernetes-patch-strategy"] == "merge"
    assert ports["x-kubernetes-list-map-keys"] == ["port", "protocol"]
    assert ports["items"] == {"$ref": "#/components/schemas/io.k8s.api.core.v1.ServicePort"}
    assert schemas[f"{SERVICE}Spec"]["properties"]["type"]["enum"][0] == "ClusterIP"
    assert schemas["io.k8s.api.core.v1.ServicePort"]["required"] == ["port"]


def test_the_dialects_differ_in_references_and_unions() -> None:
    three = fetched("/openapi/v3/api/v1")["components"]["schemas"]
    two = fetched("/openapi/v2")["definitions"]
    spec = two[SERVICE]["properties"]["spec"]
    assert spec["$ref"] == f"#/definitions/{SERVICE}Spec"
    assert three[SERVICE]["properties"]["spec"]["allOf"] == [{"$ref": f"#/components/schemas/{SERVICE}Spec"}]
    number_or_name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert two[number_or_name]["type"] == "string"
    assert "oneOf" in three[number_or_name]


def test_inlined_fields_stand_in_their_parent() -> None:
    volume = fetched("/openapi/v3/api/v1")["components"]["schemas"]["io.k8s.api.core.v1.Volume"]["properties"]
    assert "emptyDir" in volume
    assert "volumeSource" not in volume


def test_every_description_and_enumeration_speaks_of_something_in_the_table() -> None:
    for path in [*DESCRIPTIONS, *ENUMS]:
        owner, _, field = path.rpartition(".")
        known = path in schema() or owner == "*" or field in schema()[owner].fields
        assert known, path


def test_every_field_of_a_service_is_described() -> None:
    for kind in ("core.v1.ServiceSpec", "core.v1.ServicePort"):
        for name in schema()[kind].fields:
            assert f"{kind}.{name}" in DESCRIPTIONS


# What kubectl before 1.27, and helm, send to /openapi/v2.
ONLY_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def named(message: bytes, number: int) -> dict[str, bytes]:
    """A map of the message: repeated pairs of a name and a value."""
    pairs = [dict(read_fields(pair)) for at, pair in read_fields(message) if at == number and isinstance(pair, bytes)]
    return {bytes(pair[1]).decode(): bytes(pair[2]) for pair in pairs}


def part(message: bytes, *numbers: int) -> bytes:
    """The last field of a number, followed down a path of numbers."""
    for number in numbers:
        value = dict(read_fields(message))[number]
        assert isinstance(value, bytes)
        message = value
    return message


def test_version_two_comes_as_protobuf_to_those_who_ask_for_nothing_else() -> None:
    found = document("/openapi/v2", ONLY_PROTOBUF)
    assert found is not None
    assert found[1] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert document("/openapi/v2", f"application/json, {ONLY_PROTOBUF}") == document("/openapi/v2")
    plain = fetched("/openapi/v2")
    definitions = named(part(found[0], 9), 1)
    assert list(definitions) == list(plain["definitions"])
    assert list(named(part(found[0], 8), 2)) == list(plain["paths"])
    spec = named(part(definitions[f"{SERVICE}Spec"], 25), 1)
    assert list(spec) == list(plain["definitions"][f"{SERVICE}Spec"]["properties"])
    assert part(spec["ports"], 23, 1, 1) == b"#/definitions/io.k8s.api.core.v1.ServicePort"
    extensions = {name: json.loads(part(value, 2)) for name, value in named(spec["ports"], 31).items()}
    assert extensions["x-kubernetes-patch-merge-key"] == "port"


@pytest.mark.parametrize("path", ["/openapi", "/openapi/v1", "/openapi/v3/apis/apps", "/openapi/v3/api/v2"])
def test_there_is_nothing_else(path: str) -> None:
    assert document(path) is None
