"""What all rules of a schedule share: the world, its model, and who works in it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine

from tests.simulation.listing import LISTED
from tests.simulation.model import Model
from tests.simulation.person import Person
from tests.simulation.process import Process
from tests.simulation.world import World

COMPLETIONS = LISTED
WORKERS = 3

places = strategies.integers(0, 11)
"""Names one of a list, whatever its length."""


class Setting(RuleBasedStateMachine):
    """A schedule before any rule; `machine.LedgerSimulation` makes what is in it."""

    world: World
    model: Model
    person: Person
    restarts: int
    may_be_emptied: bool
    archives: Path | None
    """The folder in which workers archive reports, None where they do not."""

    @property
    def workers(self) -> list[Process]:
        """The workers, in the order of their names."""
        return sorted((each for each in self.world.processes if each.name[0] == "w"), key=lambda each: each.name)

    @property
    def running(self) -> list[Process]:
        """The workers that are not stopped."""
        return [process for process in self.workers if process.runs]

    def work_for(self, steps: int) -> None:
        """Let all go well for so many steps."""
        for _ in range(steps):
            if not self.world.work():
                return

    def pass_time(self, seconds: float) -> None:
        """Let time pass in which nothing arrives."""
        self.world.note(f"{seconds} s pass")
        self.world.pass_time(seconds)

    def set_wall_clock(self, process: Process, wrong_by_s: float) -> None:
        """Let a wall clock be wrong; the one of a suspended machine is right, as nothing else tells how long it was."""
        if process.suspended_at is None:
            self.world.note(f"{process.name}: its clock is {wrong_by_s} s wrong")
            process.skew = wrong_by_s

    def start_rescue(self, process: Process) -> None:
        """Let a worker look after the jobs."""
        self.world.note(f"{process.name}: rescues")
        process.rescue()
        self.world.settle()
