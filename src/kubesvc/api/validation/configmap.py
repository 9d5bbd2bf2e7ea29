"""ConfigMaps: keys, the size limit, immutability (KEP-1412)."""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from typing import Any

from kubesvc.api.names import check_config_key
from kubesvc.api.validation.errors import FieldError, each_invalid, forbidden, invalid, too_long

Document = dict[str, Any]

SIZE_LIMIT = 1024 * 1024
_IMMUTABLE = "field is immutable when `immutable` is set"


def validate_config_map(config_map: Document, old: Document | None = None) -> list[FieldError]:
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    errors: list[FieldError] = []
    for key in data:
        errors += each_invalid(f"data[{key}]", key, check_config_key(key))
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    size = sum(len(value.encode()) for value in data.values())
    wrong, encoded_size = validate_encoded(binary, "binaryData")
    if size + encoded_size > SIZE_LIMIT:
        errors.append(too_long("", SIZE_LIMIT))
    changes = [] if old is None else validate_sealed(config_map, old, ("data", "binaryData"))
    return errors + wrong + changes


def validate_encoded(values: Document, path: str) -> tuple[list[FieldError], int]:
    """Errors of a map of base64 values, and its size decoded. The values themselves are never shown."""
    errors: list[FieldError] = []
    size = 0
    for key, value in values.items():
        errors += each_invalid(f"{path}[{key}]", key, check_config_key(key))
        try:
            size += len(b64decode(value or "", validate=True))
        except (NotBase64, ValueError):
            errors.append(invalid(f"{path}[{key}]", "<value omitted>", "must be base64 (RFC 4648)"))
    return errors, size


def validate_sealed(new: Document, old: Document, fields: Iterable[str]) -> list[FieldError]:
    """Once `immutable` is set, it and the contents stay."""
    if not old.get("immutable"):
        return []
    errors = [] if new.get("immutable") else [forbidden("immutable", _IMMUTABLE)]
    changed = [field for field in fields if (new.get(field) or {}) != (old.get(field) or {})]
    return errors + [forbidden(field, _IMMUTABLE) for field in changed]
