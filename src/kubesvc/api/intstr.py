"""`intstr.IntOrString`: a number, or a string such as `25%` or a port's name."""

import math
from collections.abc import Mapping

from kubesvc.api.names import check_percent

IntOrString = int | str


def is_percent(value: IntOrString) -> bool:
    return isinstance(value, str) and not check_percent(value)


def scaled_value(value: IntOrString, total: int, *, round_up: bool) -> int:
    """The count `value` stands for among `total`: itself, or its share where it is a percentage.

    Raises ValueError for a string that is no percentage.
    """
    if isinstance(value, int):
        return value
    if not is_percent(value):
        raise ValueError(f"invalid value for IntOrString: invalid type: string is not a percentage: {value!r}")
    share = int(value[:-1]) * total / 100
    return math.ceil(share) if round_up else math.floor(share)


def resolve_port(value: IntOrString, names: Mapping[str, int]) -> int | None:
    """The number a `targetPort` or probe port means, given the container's port names; None for an unknown name."""
    return value if isinstance(value, int) else names.get(value)
