"""The ledger under simulated disasters (docs/reliability.md): whatever happens in whatever order, its promises hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.run import SCHEDULES

SEEDS = (1, *(pytest.param(seed, marks=pytest.mark.promise) for seed in (2, 3)))
SOAK_SEEDS = range(1000, 1100)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_promises_hold_in_every_schedule_of_a_seed(simulate: Callable[..., int], seed: int) -> None:
    """Some 4,000 steps of disasters each, in 6 s of CPU; `make simulate` and `make soak` run more."""
    assert simulate(seed) > SCHEDULES


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_the_promises_hold_in_many_schedules(simulate: Callable[..., int], part: int) -> None:
    """Hundreds of thousands of steps in all, in four parts that run beside each other."""
    for seed in SOAK_SEEDS[part::4]:
        simulate(seed)
