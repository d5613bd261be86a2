"""Rules for faults at any moment: of processes, clocks, the network, the broker and Redis."""

from __future__ import annotations

from hypothesis import strategies
from hypothesis.stateful import precondition, rule

from tests.simulation.network import Fate
from tests.simulation.setting import WORKERS, Setting, places


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

    @rule(steps=strategies.integers(10, 40))
    def work_on(self, steps: int) -> None:
        """All goes well for longer."""
        self.work_for(steps)

    @rule(which=places, fate=strategies.sampled_from(Fate))
    @precondition(lambda self: self.world.flights)
    def meet(self, which: int, fate: Fate) -> None:
        """Something on its way meets its fate out of turn, also where nobody waits for it any more."""
        self.world.carry_out(self.world.flights[which % len(self.world.flights)], fate)

    @rule(seconds=strategies.sampled_from([0.31, 1.07, 2.3, 5.3, 6.7, 8.3, 12.1, 19.7, 31.3, 61.7]))
    def stall(self, seconds: float) -> None:
        """Time passes in which nothing arrives."""
        self.world.note(f"{seconds} s pass")
        self.world.pass_time(seconds)

    @rule(which=places)
    @precondition(lambda self: self.running)
    def freeze(self, which: int) -> None:
        """A worker stops, as by SIGSTOP."""
        self.world.freeze(self.running[which % len(self.running)])

    @rule(which=places)
    @precondition(lambda self: any(process.is_frozen for process in self.workers))
    def thaw(self, which: int) -> None:
        """A stopped worker goes on."""
        frozen = [process for process in self.workers if process.is_frozen]
        self.world.thaw(frozen[which % len(frozen)])

    @rule(which=places)
    def crash(self, which: int) -> None:
        """A worker is killed, and its supervisor starts another."""
        self.world.crash(self.workers[which % WORKERS])

    @rule(which=places)
    @precondition(lambda self: self.running)
    def rescue(self, which: int) -> None:
        """A worker looks after the jobs."""
        self.start_rescue(self.running[which % len(self.running)])

    @rule(which=places)
    @precondition(lambda self: self.world.messages)
    def lose_message(self, which: int) -> None:
        """The broker loses a message."""
        lost = self.world.messages.pop(which % len(self.world.messages))
        self.world.note(f"the message of shard {lost[1]} of {lost[0]} is lost")

    @rule(which=places)
    @precondition(lambda self: self.world.messages)
    def repeat_message(self, which: int) -> None:
        """The broker delivers a message twice."""
        self.world.messages.append(self.world.messages[which % len(self.world.messages)])

    @rule(which=places, seconds=strategies.sampled_from([-3600.0, -5.0, 0.7, 600.0]))
    def set_wall_clock(self, which: int, seconds: float) -> None:
        """A worker's wall clock is set."""
        process = self.workers[which % WORKERS]
        self.world.note(f"{process.name}: its clock is {seconds} s wrong")
        process.skew = seconds
        self.world.settle()

    @rule(seconds=strategies.sampled_from([0.7, 7.3, 90.0]))
    def set_server_back(self, seconds: float) -> None:
        """The clock of Redis is set back."""
        self.world.note(f"the clock of Redis is set back by {seconds} s")
        self.world.server_behind_s += seconds
        self.world.settle()

    @rule()
    @precondition(lambda self: self.restarts < 1)
    def restart_redis(self) -> None:
        """Redis is killed and comes back."""
        self.restarts += 1
        self.world.restart_redis()
