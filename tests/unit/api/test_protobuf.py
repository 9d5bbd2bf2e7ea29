"""Protobuf bodies: what a real kubectl posted, round trips of any document, and bytes that are none."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.api.documents import documents

from kubesvc.api.protobuf import MAGIC, decode_body, decode_message, encode_body, encode_message
from kubesvc.api.schema import normalize
from kubesvc.api.status import BadRequest, UnsupportedMediaType
from kubesvc.api.table import schema
from kubesvc.api.times import parse_time
from kubesvc.api.wire import WireError, bytes_field, read_fields, read_varint, signed, varint, varint_field

RECORDED = Path(__file__).parent / "data"
KINDS = ["core.v1.Service", "discovery.v1.EndpointSlice", "core.v1.Secret", "core.v1.Event", "coordination.v1.Lease"]


def recorded(name: str) -> bytes:
    return base64.b64decode((RECORDED / f"{name}.b64").read_bytes())


# What kubectl sends


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json")))
def test_a_recorded_body_is_the_object_kubectl_prints_as_json(name: str) -> None:
    printed = json.loads((RECORDED / f"{name}.json").read_text())
    kind = schema().find(printed["apiVersion"], printed["kind"])
    assert kind is not None
    assert decode_body(recorded(name)) == normalize(printed, kind.name)


def test_a_token_request_names_its_audiences_and_duration() -> None:
    spec = decode_body(recorded("token"))["spec"]
    assert spec == {"audiences": ["api"], "expirationSeconds": 600}


def test_a_deployment_scaled_to_zero_keeps_its_zero() -> None:
    assert decode_body(recorded("deployment"))["spec"]["replicas"] == 0


# Round trips


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40)
def test_any_document_survives_the_wire(kind: str, data: st.DataObject) -> None:
    document = normalize(data.draw(documents(kind)), kind)
    decoded = decode_message(encode_message(document, kind), kind)
    assert without_empty_lists(decoded) == without_empty_lists(document)


def without_empty_lists(value: Any) -> Any:
    """The wire cannot tell an empty list from none, so not even required ones can be told apart."""
    if isinstance(value, dict):
        return {key: without_empty_lists(item) for key, item in value.items() if item != []}
    return [without_empty_lists(item) for item in value] if isinstance(value, list) else value


def test_a_pod_with_inlined_sources_and_odd_scalars_survives_the_wire() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "creationTimestamp": "2026-11-22T13:00:00Z", "labels": {"app": "", "": "x"}},
        "spec": {
            "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c", "optional": False}}],
            "containers": [
                {
                    "name": "c",
                    "readinessProbe": {"httpGet": {"port": "http", "path": "/"}, "initialDelaySeconds": -1},
                    "livenessProbe": {"tcpSocket": {"port": 8080}},
                    "resources": {"requests": {"cpu": "100m"}},
                    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}],
                }
            ],
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
        },
    }
    assert decode_body(encode_body(pod)) == pod


def test_delete_options_are_found_by_their_kind_or_the_default() -> None:
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}
    assert decode_body(encode_body(options)) == options
    nameless = MAGIC + bytes_field(2, encode_message(options, "meta.v1.DeleteOptions"))
    assert decode_body(nameless, "meta.v1.DeleteOptions") == {"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}


def test_a_watch_event_carries_a_whole_body() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    frame = bytes_field(1, b"ADDED") + bytes_field(2, bytes_field(1, encode_body(service)))
    assert decode_message(frame, "meta.v1.WatchEvent") == {"type": "ADDED", "object": service}


# The wire's latitude


def test_go_writes_zeros_that_json_leaves_out() -> None:
    spec = varint_field(13, 0) + varint_field(20, 0) + bytes_field(3, b"")
    assert decode_message(spec, "core.v1.ServiceSpec") == {"allocateLoadBalancerNodePorts": False}


def test_the_last_of_a_repeated_scalar_counts() -> None:
    assert decode_message(varint_field(5, 30480) + varint_field(5, 0), "core.v1.ServicePort") == {}


def test_parts_of_one_message_are_merged() -> None:
    parts = bytes_field(2, bytes_field(4, b"NodePort")) + bytes_field(2, bytes_field(3, b"None"))
    assert decode_message(parts, "core.v1.Service") == {"spec": {"type": "NodePort", "clusterIP": "None"}}


def test_packed_numbers_are_read_like_single_ones() -> None:
    # ContainerRestartRuleOnExitCodes.values is the table's repeated int32.
    kind = "core.v1.ContainerRestartRuleOnExitCodes"
    number = schema()[kind].fields["values"].number
    packed = bytes_field(number, varint(1) + varint(-2) + varint(300))
    assert decode_message(packed, kind) == {"values": [1, -2, 300]}
    assert decode_message(encode_message({"values": [1, -2]}, kind), kind) == {"values": [1, -2]}


def test_fields_of_a_newer_api_are_skipped() -> None:
    newer = varint_field(900, 1) + bytes_field(901, b"x") + bytes([0x99, 0x39]) + b"12345678" + bytes_field(3, b"None")
    assert decode_message(newer, "core.v1.ServiceSpec") == {"clusterIP": "None"}


def test_the_zero_time_is_absent_and_the_epoch_is_not() -> None:
    assert decode_message(bytes_field(8, b""), "meta.v1.ObjectMeta") == {}
    epoch = bytes_field(8, varint_field(1, 0))
    assert decode_message(epoch, "meta.v1.ObjectMeta") == {"creationTimestamp": "1970-01-01T00:00:00Z"}


def test_times_are_kept_in_utc() -> None:
    meta = {"creationTimestamp": "2026-11-22T14:00:00+01:00"}
    assert decode_message(encode_message(meta, "meta.v1.ObjectMeta"), "meta.v1.ObjectMeta") == {
        "creationTimestamp": "2026-11-22T13:00:00Z"
    }
    assert parse_time("2026-11-22T13:00:00.123456789Z").microsecond == 123456


@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_hold_every_64_bit_number(number: int) -> None:
    encoded = varint(number)
    value, end = read_varint(encoded, 0)
    assert signed(value, 64) == number
    assert end == len(encoded) <= 10


# Refusals


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", MAGIC, MAGIC + b"\xff", MAGIC + b"\x0a\x7f", MAGIC + b"\x00\x01", MAGIC + b"\x0b", b"\x00" * 9],
)
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises((BadRequest, UnsupportedMediaType)):
        decode_body(body)


def test_an_unknown_kind_is_named_in_the_refusal() -> None:
    head = encode_message({"apiVersion": "example.com/v1", "kind": "Widget"}, "runtime.TypeMeta")
    with pytest.raises(UnsupportedMediaType, match="'Widget'"):
        decode_body(MAGIC + bytes_field(1, head))


def test_a_body_nested_without_end_is_refused() -> None:
    head = encode_message({"apiVersion": "apps/v1", "kind": "ControllerRevision"}, "runtime.TypeMeta")
    body = b"null"
    for _ in range(2000):
        body = MAGIC + bytes_field(1, head) + bytes_field(2, bytes_field(2, bytes_field(1, body)))
    with pytest.raises(BadRequest):
        decode_body(body)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_document_or_a_refusal(payload: bytes) -> None:
    head = encode_message({"apiVersion": "v1", "kind": "Pod"}, "runtime.TypeMeta")
    with suppress(BadRequest):
        decode_body(MAGIC + bytes_field(1, head) + bytes_field(2, payload))


@given(st.binary(max_size=64))
def test_any_bytes_are_fields_or_a_wire_error(payload: bytes) -> None:
    with suppress(WireError):
        list(read_fields(payload))
