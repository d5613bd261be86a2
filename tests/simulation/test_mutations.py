"""The simulation can fail: it finds faults that are put into a copy of the code."""

from __future__ import annotations

import pytest

from tests.simulation.known import KNOWN, run_known
from tests.simulation.mutations import MUTATIONS, try_mutation
from tests.simulation.run import simulated_redis


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_simulation_finds_a_fault_that_was_put_in_on_purpose(faketime: None, name: str) -> None:
    """A promise is broken, by the words of the model; an error of another kind would prove nothing."""
    assert try_mutation(name), f"not found: {name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_a_schedule_that_shows_a_fault_breaks_no_promise_without_it(faketime: None, name: str) -> None:
    """Else it would show nothing."""
    with simulated_redis():
        run_known(name)
