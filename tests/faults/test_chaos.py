"""Three seeds of the random run, with fewer rows; `make chaos SEEDS=20` runs others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.chaos import run_seed

PROMISE = pytest.mark.promise


@pytest.mark.parametrize("seed", [pytest.param(2, marks=PROMISE), 3, pytest.param(504, marks=PROMISE)])
async def test_a_job_ends_exact_whatever_dies(seed: int, state_dir: Path, tmp_path: Path) -> None:
    """Row 39: children, workers and Redis are killed while the API resets, fails, stalls and refuses."""
    await run_seed(seed, folder=state_dir, logs=tmp_path, rows=1000)
