"""The simulation can fail: it finds faults that are put into a copy of the code."""

from __future__ import annotations

import pytest

from tests.simulation.mutations import FOUND, try_mutation


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_the_simulation_finds_a_fault_that_was_put_in_on_purpose(faketime: None, name: str) -> None:
    """A promise is broken, by the words of the model; an error of another kind would prove nothing."""
    assert try_mutation(FOUND[name]), f"not found: {name}"
