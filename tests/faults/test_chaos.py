"""Three seeds of the random run, with fewer rows; `make chaos SEEDS=20` runs others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.chaos import run_seed

PROMISE = pytest.mark.promise


@PROMISE
@pytest.mark.parametrize("seed", [2, 3, 504])
async def test_a_job_ends_exact_whatever_dies(seed: int, state_dir: Path, tmp_path: Path) -> None:
    """Row 39: children, workers and Redis are killed while the API resets, fails, stalls and refuses."""
    await run_seed(seed, folder=state_dir, logs=tmp_path, rows=1000)
