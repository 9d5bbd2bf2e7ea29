"""The protobuf wire format (proto2): varints, tags and length-delimited values, with no idea of any message.

Only what Kubernetes uses is written; everything proto2 allows is read, except groups, which no
Kubernetes type has. Malformed bytes raise WireError.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
_MASK = 2**64 - 1


class WireError(ValueError):
    """The bytes are not a protobuf message."""


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned value at `at` and the position after it. At most 10 bytes, cut to 64 bits."""
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("a varint is cut off")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & _MASK, at
    raise WireError("a varint is longer than 10 bytes")


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field of a message as (number, value): an unsigned int for varints, else the bytes it holds."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise WireError("a field has number 0")
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = read_varint(data, at)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise WireError(f"field {number} has the unknown wire type {kind}")
        if at + size > len(data):
            raise WireError(f"field {number} is cut off")
        yield number, data[at : at + size]
        at += size


def read_packed(data: bytes) -> Iterator[int]:
    """The varints of a packed repeated field."""
    at = 0
    while at < len(data):
        value, at = read_varint(data, at)
        yield value


def signed(value: int, bits: int) -> int:
    """A wire value as the two's complement number of `bits` it stands for (int32 is sent as 64 bits)."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def varint(value: int) -> bytes:
    """`value`, which may be negative down to -2**63, as a varint."""
    value &= _MASK
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_field(number: int, value: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | BYTES) + varint(len(value)) + value
