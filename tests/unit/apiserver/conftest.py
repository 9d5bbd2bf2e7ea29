"""An API server's inside for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.apiserver.world import World, make_options, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    opened = await open_world(make_options(tmp_path))
    yield opened
    await opened.backend.close()
