"""A cluster with a worker, and the metrics over its ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.cluster import Cluster


@pytest.fixture
async def cluster(state_dir: Path, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster whose API takes 50 ms and refuses some requests."""
    async with Cluster(state_dir, keep_logs=tmp_path, latency_s=0.05) as cluster:
        cluster.sandbox.add_faults(rules=[{"fault": "rate_limited", "times": 2, "after": 20, "seconds": 0.2}])
        yield cluster
