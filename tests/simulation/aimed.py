"""Rules for faults that are aimed: at a moment of one kind, with what others do meanwhile.

Chance meets the rare moments of a row too seldom: most of what is on its way are looks at the rate.
"""

from __future__ import annotations

import enum

from hypothesis import strategies
from hypothesis.stateful import precondition, rule

from tests.simulation.network import Fate, Flight
from tests.simulation.setting import Setting

MOST_STEPS = 80
"""Steps within which a moment has to come."""
ROW_MOMENTS = ("connect", "read", "write", "claim_rows", "giving up", "journal", "settle")
"""What is aimed at in a row: a request that waits for its connection or has left, or a script on its way."""
SHARD_MOMENTS = ("lease", "renew", "release", "hand_back", "announce", "survive")
"""The same in a worker's turn at a shard."""
JOB_MOMENTS = (
    "count_shard",
    "set_digest",
    "rescue",
    "close",
    "leave",
    "move",
    "resume",
    "approve",
    "create",
    "hold",
    "ZREM",
    "lose_job",
    "identify",
    "reset",
)
"""The same of a job."""


LIST_MOMENTS = ("begin_reading", "keep_page", "leave_reading", "call_reader", "adopt_rows", "move")
"""The same where the list is read."""


class Blow(enum.Enum):
    """What holds up a worker, or what it has just sent."""

    LATE = "it sees a broken connection; what it sent arrives once the others are done"
    DIES = "it dies; what it sent arrives once the others are done"
    DIES_AFTER = "it dies before it sees the answer"
    FREEZES = "it stops before what it sent arrives"
    FREEZES_AFTER = "it stops before it sees the answer"
    SUSPENDED = "its machine is suspended before it sees the answer, and its running clock stands still"


class Meanwhile(enum.Enum):
    """What others do before a stopped worker goes on, or what is late arrives."""

    NOTHING = "nothing"
    RESCUE = "a worker rescues"
    UNDO = "the job is paused and undone"
    CANCEL = "the job is cancelled"
    SET_BACK = "the worker's wall clock is set back"
    REPEAT = "the broker delivers the last message of the job once more"


blows, meanwhiles = strategies.sampled_from(Blow), strategies.sampled_from(Meanwhile)
spells = strategies.sampled_from([5.3, 8.3, 19.7])
"""Seconds: nearly the fence, past a lease, past a claim."""
turns = strategies.sampled_from([20, 60, 120])


class AimedFaults(Setting):
    """Faults at moments of one kind."""

    @rule(
        at=strategies.sampled_from(ROW_MOMENTS * 3 + SHARD_MOMENTS + JOB_MOMENTS),
        fate=strategies.sampled_from([Fate.LOST, Fate.ANSWER_LOST, Fate.LATE, Fate.STALE]),
    )
    def strike(self, at: str, fate: Fate) -> None:
        """What is on its way at that moment meets its fate."""
        flight = self.world.until("stale read" if fate is Fate.STALE else at, MOST_STEPS)
        if flight:
            self.world.carry_out(flight, fate)

    @rule(at=strategies.sampled_from(ROW_MOMENTS), blow=blows, seconds=spells, meanwhile=meanwhiles, steps=turns)
    def hold_up_row(self, at: str, blow: Blow, seconds: float, meanwhile: Meanwhile, steps: int) -> None:
        """A worker, or what it sent, is held up in the midst of a row."""
        self._hold_up(at, blow, seconds, meanwhile, steps)

    @rule(
        at=strategies.sampled_from(("connect", "write", "renew")),
        blow=strategies.sampled_from([Blow.FREEZES_AFTER, Blow.SUSPENDED]),
        seconds=spells,
        meanwhile=meanwhiles,
        steps=turns,
    )
    def stop_with_answer(self, at: str, blow: Blow, seconds: float, meanwhile: Meanwhile, steps: int) -> None:
        """A worker stops with an answer at hand, and goes on later."""
        self._hold_up(at, blow, seconds, meanwhile, steps)

    @rule(times=strategies.integers(2, 5), steps=turns)
    def die_at_shard(self, times: int, steps: int) -> None:
        """One worker after the other dies at a shard before it settles a row; the one that parks it is stopped."""
        first = None
        for _ in range(times):
            flight = self.world.until("connect", MOST_STEPS, about=first)
            if flight is None:
                break
            first = flight.shard
            self.world.crash(flight.process)
            self.pass_time(8.3)
            if self.running:
                self.start_rescue(self.running[0])
        parking = self.world.until("close", MOST_STEPS)
        if parking and parking.process in self.workers and len(self.running) > 1:
            self.world.freeze(parking.process)
            self.pass_time(1.7)
            self.start_rescue(self.running[0])
            self.work_for(steps)
            self._go_on(parking)

    @rule(at=strategies.sampled_from(SHARD_MOMENTS), blow=blows, seconds=spells, meanwhile=meanwhiles, steps=turns)
    def hold_up_shard(self, at: str, blow: Blow, seconds: float, meanwhile: Meanwhile, steps: int) -> None:
        """The same where a shard changes hands."""
        self._hold_up(at, blow, seconds, meanwhile, steps)

    @rule(at=strategies.sampled_from(LIST_MOMENTS), blow=blows, seconds=spells, meanwhile=meanwhiles, steps=turns)
    @precondition(lambda self: self.is_read)
    def hold_up_reader(self, at: str, blow: Blow, seconds: float, meanwhile: Meanwhile, steps: int) -> None:
        """The same where the list is read for a job."""
        self._hold_up(at, blow, seconds, meanwhile, steps)

    @rule(at=strategies.sampled_from(LIST_MOMENTS), fate=strategies.sampled_from(Fate))
    @precondition(lambda self: self.is_read)
    def strike_reader(self, at: str, fate: Fate) -> None:
        """What a reader has on its way at that moment meets its fate."""
        self.strike(at, fate)

    @rule(times=strategies.integers(1, 5))
    @precondition(lambda self: self.is_read)
    def die_at_list(self, times: int) -> None:
        """One worker after the other dies at the list before it keeps a page."""
        for _ in range(times):
            flight = self.world.until("keep_page", MOST_STEPS)
            if flight is None:
                break
            self.world.crash(flight.process)
            self.pass_time(31.3)  # the lock is over, and the message counts as lost
            self.start_rescue(self.running[0] if self.running else self.workers[0])

    @property
    def is_read(self) -> bool:
        """Whether the list is to be read for a job."""
        return any(job.selects is not None and job.state == "submitting" for job in self.model.jobs.values())

    @rule(at=strategies.sampled_from(JOB_MOMENTS), blow=blows, seconds=spells, steps=turns)
    def hold_up_job(self, at: str, blow: Blow, seconds: float, steps: int) -> None:
        """The same where a job changes its state, or is looked after."""
        self._hold_up(at, blow, seconds, Meanwhile.RESCUE, steps)

    def _hold_up(self, moment: str, blow: Blow, seconds: float, meanwhile: Meanwhile, steps: int) -> None:
        """Work until the moment, let the blow fall, time pass and others act; then what was held up goes on."""
        flight = self.world.until(moment, MOST_STEPS)
        if flight is None:
            return
        self._hit(flight, blow)
        self._act(flight, seconds, meanwhile)
        self.work_for(steps)
        self._go_on(flight)

    def _go_on(self, flight: Flight) -> None:
        if flight.process.is_alive and flight.process.is_frozen:
            self.world.thaw(flight.process)
        if flight in self.world.flights:
            self.world.carry_out(flight)

    def _hit(self, flight: Flight, blow: Blow) -> None:
        process = flight.process
        if blow is Blow.LATE or process.name[0] != "w":
            self.world.carry_out(flight, Fate.LATE)
            return
        if blow in {Blow.FREEZES, Blow.FREEZES_AFTER, Blow.SUSPENDED}:
            self.world.freeze(process, is_suspended=blow is Blow.SUSPENDED)
        else:
            self.world.crash(process)
        if blow in {Blow.DIES_AFTER, Blow.FREEZES_AFTER, Blow.SUSPENDED}:
            self.world.carry_out(flight)

    def _act(self, flight: Flight, seconds: float, meanwhile: Meanwhile) -> None:
        job_id = flight.job_id
        is_known = job_id in self.model.jobs
        if meanwhile is Meanwhile.UNDO and is_known:
            self.request(job_id, "pause")
            self.work_for(5)
        self.pass_time(seconds)
        if meanwhile is Meanwhile.REPEAT:
            self.world.messages += [message for message in self.world.taken if message[0] == job_id][-1:]
        if meanwhile is Meanwhile.SET_BACK:
            self.set_wall_clock(flight.process, -5.0)
        if meanwhile is Meanwhile.UNDO and is_known:
            self.request(job_id, "undo")
        elif meanwhile is Meanwhile.CANCEL and is_known:
            self.request(job_id, "cancel")
        if meanwhile in {Meanwhile.RESCUE, Meanwhile.CANCEL} and self.running:
            self.start_rescue(self.running[0])
