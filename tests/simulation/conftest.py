"""A Redis whose clock can be set, and schedules that run against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.harness.faketime import faketime_library
from tests.simulation.run import run_seed, simulated_redis
from tests.simulation.server import ClockedRedis


@pytest.fixture
def clocked_redis(faketime: None) -> Iterator[ClockedRedis]:
    """A server whose clock stands still until the test sets it."""
    library = faketime_library()
    assert library is not None
    with ClockedRedis(library) as server:
        yield server


@pytest.fixture
def simulate(faketime: None) -> Iterator[Callable[..., int]]:
    """Run the schedules of a seed."""
    with simulated_redis():
        yield run_seed
