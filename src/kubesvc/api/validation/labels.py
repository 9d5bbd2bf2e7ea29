"""Labels, annotations and label selectors."""

from collections.abc import Mapping
from typing import Any

from kubesvc.api.names import check_label_value, check_qualified
from kubesvc.api.validation.errors import FieldError, each_invalid, forbidden, invalid, required, too_long

ANNOTATIONS_LIMIT = 256 * 1024
_WITH_VALUES = ("In", "NotIn")
_WITHOUT_VALUES = ("Exists", "DoesNotExist")


def validate_labels(labels: Mapping[str, str] | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in (labels or {}).items():
        errors += each_invalid(path, key, check_qualified(key))
        errors += each_invalid(path, value, check_label_value(value))
    return errors


def validate_annotations(annotations: Mapping[str, str] | None, path: str) -> list[FieldError]:
    """Keys are as labels', in any case; keys and values together hold at most 256 KiB."""
    errors: list[FieldError] = []
    size = 0
    for key, value in (annotations or {}).items():
        errors += each_invalid(path, key, check_qualified(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT:
        errors.append(too_long(path, ANNOTATIONS_LIMIT))
    return errors


def validate_label_selector(selector: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    if selector is None:
        return []
    errors = validate_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        errors += _validate_expression(expression, f"{path}.matchExpressions[{index}]")
    return errors


def _validate_expression(expression: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = expression.get("operator") or "", expression.get("values") or ()
    if operator in _WITH_VALUES and not values:
        errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in _WITHOUT_VALUES and values:
        errors.append(forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator not in _WITH_VALUES + _WITHOUT_VALUES:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = expression.get("key") or ""
    errors += each_invalid(f"{path}.key", key, check_qualified(key))
    for index, value in enumerate(values):
        errors += each_invalid(f"{path}.values[{index}]", value, check_label_value(value))
    return errors
