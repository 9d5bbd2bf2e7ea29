"""The labels by which Services and slices are told apart from those that are none of this proxy's (behaviour row 1)."""

from collections.abc import Mapping

LABEL_PROXY_NAME = "service.kubernetes.io/service-proxy-name"
LABEL_HEADLESS = "service.kubernetes.io/headless"

SELECTOR = f"!{LABEL_PROXY_NAME},!{LABEL_HEADLESS}"
"""What Services and EndpointSlices are asked for with."""


def is_ours(labels: Mapping[str, str] | None) -> bool:
    """False for what another proxy claims and for what is headless by its label, whatever the labels' values."""
    return not labels or (LABEL_PROXY_NAME not in labels and LABEL_HEADLESS not in labels)
