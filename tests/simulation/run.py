"""Runs schedules: `python -m tests.simulation.run --seed 7 --steps 1000000` (`make simulate SEED=7 STEPS=1000000`).

A seed names a batch of schedules. One that fails is shrunk, and printed as the shortest program of rules that fails,
with all that happened in it; the same seed finds it again.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.harness.faketime import faketime_library
from tests.simulation.known import run_known
from tests.simulation.link import Wire
from tests.simulation.machine import LedgerSimulation
from tests.simulation.server import ClockedRedis

SCHEDULES, RULES = 10, 30
"""Schedules of a seed unless fewer are asked for, and rules of a schedule at most."""


@contextmanager
def simulated_redis() -> Iterator[None]:
    """Run the server of all schedules for as long as the block runs."""
    library = faketime_library()
    assert library is not None, "libfaketime is not installed; install Debian's faketime"
    with ClockedRedis(library) as server:
        LedgerSimulation.server, LedgerSimulation.wire = server, Wire(str(server.socket))
        yield
        LedgerSimulation.wire.close()


def run_seed(number: int, *, schedules: int = SCHEDULES, shrink: bool = True) -> int:
    """Run the schedules of a seed and return how many steps they took.

    Raises:
        AssertionError: one failed; where `shrink` is set, the shortest one that was found.

    """
    begun = LedgerSimulation.steps
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    chosen = settings(
        max_examples=schedules,
        stateful_step_count=RULES,
        deadline=None,
        database=None,
        phases=phases,
        verbosity=Verbosity.normal,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(number)(LedgerSimulation), settings=chosen)
    except BaseException as error:
        error.add_note(f"Again: make simulate SEED={number} STEPS=1")
        raise
    return LedgerSimulation.steps - begun


def main() -> None:
    """Run one seed after the other until there were so many steps."""
    parser = argparse.ArgumentParser(description="Run simulated schedules of the ledger.")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--steps", type=int, default=1, help="steps to run, at least; the seed is run to its end")
    parser.add_argument("--no-shrink", action="store_true", help="end with the first schedule that fails, as it is")
    parser.add_argument("--known", default="", help="run one known schedule instead (`known.py`)")
    options = parser.parse_args()
    logging.disable()
    if options.known:
        with simulated_redis():
            run_known(options.known)
        return
    number, steps, began = options.seed, 0, time.process_time()
    with simulated_redis():
        while steps < options.steps:
            steps += run_seed(number, shrink=not options.no_shrink)
            print(f"seed {number}: {steps:,} steps, {time.process_time() - began:.0f} s of CPU", flush=True)  # noqa: T201
            number += 1


if __name__ == "__main__":
    main()
