"""A cluster of real parts, and Flower to look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flower.scene import Scene, open_scene


@pytest.fixture
async def scene(state_dir: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    """A worker that carries out a job, and a Flower that has seen it begin."""
    async with open_scene(state_dir, tmp_path) as scene:
        yield scene
