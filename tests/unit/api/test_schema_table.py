"""The packaged field table: complete, consistent, small and quick to read."""

import pytest

from kubesvc.api.resources import RESOURCES, Resource
from kubesvc.api.table import Form, Shape, schema


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_every_served_kind_and_its_list_is_in_the_table(resource: Resource) -> None:
    kind = schema()[resource.schema_type]
    assert kind.gvk == (resource.group, resource.version, resource.kind)
    assert schema()[f"{resource.schema_type}List"].fields["items"].type == resource.schema_type
    assert schema().find(resource.group_version, resource.kind) is kind


def test_every_field_leads_to_a_type_of_the_table_or_to_a_scalar() -> None:
    for name in schema():
        for field in schema()[name].wire.values():
            assert field.form is not Form.OBJECT or field.type in schema(), f"{name}.{field.name}: {field.type}"


def test_wire_numbers_are_unique_within_a_type() -> None:
    for name in schema():
        own = [field for field in schema()[name].wire.values() if not field.inline]
        inlined = [field for field in schema()[name].wire.values() if field.inline]
        spread = {field.name for part in inlined for field in schema()[part.type].fields.values()}
        assert {field.name for field in own} | spread == set(schema()[name].fields)


def test_service_ports_are_a_list_that_merges_by_port() -> None:
    ports = schema()["core.v1.ServiceSpec"].fields["ports"]
    assert ports.shape is Shape.LIST
    assert ports.patch_merge_key == "port"
    assert ports.list_map_keys == ("port", "protocol")


def test_inlined_fields_belong_to_their_parent_in_json_only() -> None:
    volume = schema()["core.v1.Volume"]
    assert "emptyDir" in volume.fields
    assert "volumeSource" not in volume.fields
    assert volume.wire[2].inline


def test_zeros_of_pointers_and_of_required_fields_are_kept() -> None:
    spec = schema()["apps.v1.DeploymentSpec"].fields
    port = schema()["core.v1.ServicePort"].fields
    assert not spec["replicas"].omits_zero
    assert spec["minReadySeconds"].omits_zero
    assert not port["port"].omits_zero
    assert port["nodePort"].omits_zero


def test_request_options_are_known_in_every_group() -> None:
    for group_version in ("v1", "meta.k8s.io/v1", "policy/v1"):
        found = schema().find(group_version, "DeleteOptions")
        assert found is not None
        assert found.name == "meta.v1.DeleteOptions"
    assert schema().find("v1", "Gateway") is None


def test_an_unknown_type_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        schema()["core.v2.Service"]
