"""Tests that move real packets need privilege; without it they are skipped with the way to enable them."""

import os

import pytest
from hypothesis import settings

# A run in CI draws the same examples each time, so that a failure there can be seen again by anyone;
# runs by hand go on looking for new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_REASON = "needs root: use sudo make test, or allow user namespaces (kernel.apparmor_restrict_unprivileged_userns=0)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("kernel") or item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.skip(reason=_REASON))
