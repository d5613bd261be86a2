"""Rules for faults at any moment: of processes, clocks, the network, the broker and Redis."""

from __future__ import annotations

import enum

from hypothesis import strategies
from hypothesis.stateful import precondition, rule

from tests.simulation.network import Fate
from tests.simulation.setting import WORKERS, Setting, places
from tests.simulation.world import what_of

WRONG_BY_S = (-3600.0, -5.0, 0.0, 0.7, 600.0)
"""Seconds by which a worker's wall clock is wrong."""
BACK_BY_S = (0.7, 7.3, 90.0)
"""Seconds by which the clock of Redis is set back."""


class Fault(enum.Enum):
    """What goes wrong at any moment."""

    FREEZE = "a worker stops, as by SIGSTOP"
    THAW = "a stopped worker goes on"
    CRASH = "a worker is killed, and its supervisor starts another"
    LOSE_MESSAGE = "the broker loses a message"
    REPEAT_MESSAGE = "the broker delivers a message once more"
    SET_WALL_CLOCK = "a worker's wall clock is set"
    SET_SERVER_BACK = "the clock of Redis is set back"
    RESTART_REDIS = "Redis is killed and comes back"


class Disasters(Setting):
    """All goes well for a while, then something does not."""

    @rule(steps=strategies.integers(0, 20), pick=places, fate=strategies.sampled_from(Fate))
    def work(self, steps: int, pick: int, fate: Fate) -> None:
        """All goes well for some steps, then something on its way meets its fate."""
        for number in range(steps):
            if not self.world.work(pick * number):
                return
        awaited = [flight for flight in self.world.flights if flight.is_awaited]
        if awaited:
            self.world.carry_out(awaited[pick % len(awaited)], fate)

    @rule(which=places, fate=strategies.sampled_from(Fate))
    @precondition(lambda self: self.world.flights)
    def meet(self, which: int, fate: Fate) -> None:
        """Something on its way meets its fate out of turn, also where nobody waits for it any more."""
        self.world.carry_out(self.world.flights[which % len(self.world.flights)], fate)

    @rule(seconds=strategies.sampled_from([0.31, 1.07, 2.3, 5.3, 6.7, 8.3, 12.1, 19.7, 31.3, 61.7]))
    def stall(self, seconds: float) -> None:
        """Time passes in which nothing arrives."""
        self.pass_time(seconds)

    @rule(fault=strategies.sampled_from(Fault), which=places)
    def befall(self, fault: Fault, which: int) -> None:
        """Something goes wrong, where it can."""
        running, frozen = self.running, [process for process in self.workers if process.is_frozen]
        messages = self.world.messages
        if fault is Fault.FREEZE and running:
            self.world.freeze(running[which % len(running)])
        elif fault is Fault.THAW and frozen:
            self.world.thaw(frozen[which % len(frozen)])
        elif fault is Fault.CRASH:
            self.world.crash(self.workers[which % WORKERS])
        elif fault is Fault.LOSE_MESSAGE and messages:
            self.world.note(f"the message of {what_of(messages.pop(which % len(messages)))} is lost")
        elif fault is Fault.REPEAT_MESSAGE and self.world.taken:
            messages.append(self.world.taken[-1 - which % len(self.world.taken)])
        elif fault is Fault.RESTART_REDIS and not self.restarts:
            self.restarts += 1
            self.world.restart_redis()
        else:
            self._set_clock(fault, which)

    def _set_clock(self, fault: Fault, which: int) -> None:
        if fault is Fault.SET_WALL_CLOCK:
            self.set_wall_clock(self.workers[which % WORKERS], WRONG_BY_S[which % len(WRONG_BY_S)])
        elif fault is Fault.SET_SERVER_BACK:
            seconds = BACK_BY_S[which % len(BACK_BY_S)]
            self.world.note(f"the clock of Redis is set back by {seconds} s")
            self.world.server_behind_s += seconds
        self.world.settle()

    @rule(which=places)
    @precondition(lambda self: self.running)
    def rescue(self, which: int) -> None:
        """A worker looks after the jobs."""
        self.start_rescue(self.running[which % len(self.running)])
        self.work_for(which * 3)

    @rule()
    @precondition(lambda self: self.may_be_emptied and self.model.lost_at is None)
    def empty_redis(self) -> None:
        """Redis comes back empty."""
        for process in self.workers:
            process.note_loss()
        self.world.empty_redis()

    @rule(which=places)
    @precondition(lambda self: self.archives and self.running)
    def archive(self, which: int) -> None:
        """A worker archives the reports of ended jobs."""
        process = self.running[which % len(self.running)]
        self.world.note(f"{process.name}: archives")
        if self.archives:
            process.archive(self.archives)
        self.world.settle()
