"""A cluster of real parts for each fault test; nothing that it started outlives the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cluster import Cluster

StartCluster = Callable[..., Awaitable[Cluster]]


@pytest.fixture
async def start_cluster(state_dir: Path, tmp_path: Path) -> AsyncIterator[StartCluster]:
    """Start a Redis and the API's stand-in with some options; workers come with `cluster.worker()`."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Cluster:
            return await stack.enter_async_context(Cluster(state_dir, keep_logs=tmp_path, **options))

        yield start


@pytest.fixture
async def cluster(start_cluster: StartCluster) -> Cluster:
    """A cluster whose API takes 50 ms for an answer."""
    return await start_cluster(latency_s=0.05)
