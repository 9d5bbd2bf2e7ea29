"""Values that are not plain objects: how each form looks in JSON and on the protobuf wire.

`FROM_WIRE` and `TO_WIRE` map a form to a function between its wire value (an unsigned int, or the bytes
of a string or message) and its JSON value; None means absent. Bad values raise ValueError.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kubesvc.api.table import Form
from kubesvc.api.times import parse_time
from kubesvc.api.wire import bytes_field, read_fields, signed, varint_field

WireValue = int | bytes

WIRE_VARINTS = frozenset({Form.BOOL, Form.INT32, Form.INT64})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _bytes(value: WireValue) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes are expected")
    return value


def _number(value: WireValue) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes where a number is expected")
    return value


def _members(value: WireValue) -> dict[int, WireValue]:
    return dict(read_fields(_bytes(value)))


# Time: seconds and nanoseconds since the epoch; the zero time is an empty message


def _time_from_wire(value: WireValue, timespec: str) -> str | None:
    members = _members(value)
    if not members:
        return None
    seconds, nanos = signed(_number(members.get(1, 0)), 64), signed(_number(members.get(2, 0)), 32)
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def _time_to_wire(text: str, *, micros: bool) -> bytes:
    since = parse_time(text) - _EPOCH
    seconds = since.days * 86400 + since.seconds
    return varint_field(1, seconds) + varint_field(2, since.microseconds * 1000 if micros else 0)


# The other special forms


def _quantity_from_wire(value: WireValue) -> str:
    return _bytes(_members(value).get(1, b"")).decode() or "0"


def _int_or_string_from_wire(value: WireValue) -> int | str:
    members = _members(value)
    if members.get(1, 0) == 1:
        return _bytes(members.get(3, b"")).decode()
    return signed(_number(members.get(2, 0)), 32)


def _int_or_string_to_wire(value: int | str) -> bytes:
    if isinstance(value, str):
        return varint_field(1, 1) + varint_field(2, 0) + bytes_field(3, value.encode())
    return varint_field(1, 0) + varint_field(2, value) + bytes_field(3, b"")


def _strings_from_wire(value: WireValue) -> list[str]:
    return [_bytes(item).decode() for number, item in read_fields(_bytes(value)) if number == 1]


def _strings_to_wire(value: list[str]) -> bytes:
    return b"".join(bytes_field(1, item.encode()) for item in value)


def _fields_v1_from_wire(value: WireValue) -> Any:
    raw = _bytes(_members(value).get(1, b""))
    return msgspec.json.decode(raw) if raw else None


def _json_to_wire(value: Any) -> bytes:
    return bytes_field(1, msgspec.json.encode(value))


def _base64_to_wire(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error as err:
        raise ValueError(f"{text!r} is not base64") from err


FROM_WIRE: Mapping[Form, Callable[[WireValue], Any]] = {
    Form.STRING: lambda value: _bytes(value).decode(),
    Form.BOOL: lambda value: bool(_number(value)),
    Form.INT32: lambda value: signed(_number(value), 32),
    Form.INT64: lambda value: signed(_number(value), 64),
    Form.BYTES: lambda value: base64.b64encode(_bytes(value)).decode(),
    Form.TIME: lambda value: _time_from_wire(value, "seconds"),
    Form.MICRO_TIME: lambda value: _time_from_wire(value, "microseconds"),
    Form.QUANTITY: _quantity_from_wire,
    Form.INT_OR_STRING: _int_or_string_from_wire,
    Form.FIELDS_V1: _fields_v1_from_wire,
    Form.STRINGS: _strings_from_wire,
}

TO_WIRE: Mapping[Form, Callable[[Any], WireValue]] = {
    Form.STRING: str.encode,
    Form.BOOL: int,
    Form.INT32: int,
    Form.INT64: int,
    Form.BYTES: _base64_to_wire,
    Form.TIME: lambda value: _time_to_wire(value, micros=False),
    Form.MICRO_TIME: lambda value: _time_to_wire(value, micros=True),
    Form.QUANTITY: lambda value: bytes_field(1, str(value).encode()),
    Form.INT_OR_STRING: _int_or_string_to_wire,
    Form.ANY: _json_to_wire,
    Form.FIELDS_V1: _json_to_wire,
    Form.STRINGS: _strings_to_wire,
}
