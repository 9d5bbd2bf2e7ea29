"""Whatever the schema lets through: defaulting, preparing, validating and printing give an answer, never a crash."""

from copy import deepcopy
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubesvc.api import resources as r
from kubesvc.api.defaults import apply_defaults
from kubesvc.api.schema import normalize, require_types
from kubesvc.api.strategy import prepare_create, prepare_status_update, prepare_update
from kubesvc.api.table import Field, Form, Shape, schema
from kubesvc.api.validation import invalid_error, validate_create, validate_status_update, validate_update
from kubesvc.apiserver.printers import table

Document = dict[str, Any]
NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)

WORDS = ["", "a", "web", "A b", "10.96.0.1", "None", "fd00::1", "x" * 70, "ExternalName", "LoadBalancer", "NodePort",
         "TCP", "Local", "IPv4", "10.0.0.0/8", "25%", "Always", "../x", "a/b", "kubernetes", "SingleStack", "Recreate",
         "RollingUpdate", "None", "ClientIP", "In", "Exists", "metadata.name", "8080", "é"]  # fmt: skip
SCALARS: dict[Form, list[Any]] = {
    Form.STRING: WORDS,
    Form.BOOL: [True, False],
    Form.INT32: [0, 1, -1, 80, 65536, 2**31 - 1],
    Form.INT64: [0, 1, -1, 30, 2**40],
    Form.BYTES: ["", "YQ=="],
    Form.TIME: ["2026-11-22T12:59:00Z"],
    Form.MICRO_TIME: ["2026-11-22T12:59:00.000000Z"],
    Form.QUANTITY: ["1", "100m", "1Gi", "-1"],
    Form.INT_OR_STRING: [0, 80, "http", "25%", "", "150%"],
    Form.ANY: [{}],
    Form.FIELDS_V1: [{}],
    Form.STRINGS: [["a"]],
}


def draw_object(random: Random, type_name: str, depth: int) -> Document:
    """An object of the type with some of its fields, to some depth."""
    fields = list(schema()[type_name].fields.values())
    share = 0.75 if depth < 2 else 0.3
    return {field.name: draw_field(random, field, depth) for field in fields if random.random() < share}


def draw_field(random: Random, field: Field, depth: int) -> Any:
    if field.shape is Shape.LIST:
        return [draw_value(random, field, depth) for _ in range(random.randrange(4))]
    if field.shape is Shape.MAP:
        return {random.choice(WORDS): draw_value(random, field, depth) for _ in range(random.randrange(3))}
    return draw_value(random, field, depth)


def draw_value(random: Random, field: Field, depth: int) -> Any:
    if field.form is Form.OBJECT:
        return draw_object(random, field.type, depth + 1) if depth < 6 else {}
    return deepcopy(random.choice(SCALARS[field.form]))


def received(random: Random, resource: r.Resource) -> Document:
    """An object as it leaves the decoder: typed, without nulls, with a name."""
    obj = draw_object(random, resource.schema_type, 0)
    obj["metadata"] = {**obj.get("metadata", {}), "name": random.choice(["x", "A b"]), "resourceVersion": "1"}
    obj["metadata"].pop("creationTimestamp", None)
    require_types(obj, resource.schema_type)
    return normalize(obj, resource.schema_type)


@pytest.mark.parametrize("resource", r.RESOURCES, ids=lambda resource: resource.plural)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(random=st.randoms(use_true_random=False))
def test_every_object_of_the_right_types_gets_an_answer(resource: r.Resource, random: Random) -> None:
    old, new = received(random, resource), received(random, resource)
    apply_defaults(resource, old)
    again = deepcopy(old)
    apply_defaults(resource, again)
    assert again == old
    prepare_create(resource, old)
    errors = validate_create(resource, old)
    if errors:
        assert invalid_error(resource, "x", errors).to_status()["code"] == 422
    status = deepcopy(new)
    apply_defaults(resource, new)
    prepare_update(resource, new, old)
    validate_update(resource, new, old)
    prepare_status_update(resource, status, old)
    validate_status_update(resource, status, old)
    assert len(table(resource, [old, new, status], NOW)["rows"]) == 3
