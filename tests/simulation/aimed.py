"""Rules for faults that are aimed: at a moment of one kind, with what others do meanwhile.

Chance meets the rare moments of a row too seldom: most of what is on its way are looks at the rate.
"""

from __future__ import annotations

import enum

from hypothesis import strategies
from hypothesis.stateful import rule

from tests.simulation.network import Fate, Flight
from tests.simulation.setting import Setting, places

MOST_STEPS = 80
"""Steps within which a moment has to come."""
MOMENTS = (
    *("connect", "write", "read"),
    *("claim_rows", "journal", "settle", "lease", "renew", "release", "hand_back"),
    *("announce", "rescue", "close", "leave", "move", "resume", "survive", "count_shard", "set_digest"),
)
"""What is aimed at: a request that waits for its connection or has left, or a script on its way."""


class Blow(enum.Enum):
    """What happens to a worker, or to what it has just sent."""

    LOST = "what it sent is lost"
    ANSWER_LOST = "the answer is lost"
    LATE = "it sees a broken connection; what it sent arrives once the others are done"
    STALE = "its read shows the state before the last update"
    DIES = "it dies; what it sent arrives once the others are done"
    DIES_AFTER = "it dies before the answer"
    FREEZES = "it stops before what it sent arrives"
    FREEZES_AFTER = "it stops before it sees the answer"


class Meanwhile(enum.Enum):
    """What others do before a stopped worker goes on, or what is late arrives."""

    NOTHING = "nothing"
    RESCUE = "a worker rescues"
    UNDO = "the job is paused and undone"
    CANCEL = "the job is cancelled"


class AimedFaults(Setting):
    """Faults at moments of one kind."""

    @rule(
        moment=strategies.sampled_from(MOMENTS),
        blow=strategies.sampled_from(Blow),
        seconds=strategies.sampled_from([0.0, 0.4, 5.3, 6.7, 8.3, 12.1, 19.7]),
        meanwhile=strategies.sampled_from(Meanwhile),
        steps=strategies.sampled_from([0, 10, 40, 120]),
        which=places,
    )
    def strike(self, moment: str, blow: Blow, seconds: float, meanwhile: Meanwhile, steps: int, which: int) -> None:
        """Work until the moment, let the blow fall, time pass and others act; then what was held up goes on."""
        flight = self.world.until(moment, MOST_STEPS)
        if flight is None:
            return
        self._hit(flight, blow)
        self._act(flight.job_id, seconds, meanwhile, which)
        self.work_for(steps)
        if flight.process.is_alive and flight.process.is_frozen:
            self.world.thaw(flight.process)
        elif flight in self.world.flights and not flight.is_awaited:
            self.world.carry_out(flight)

    def _hit(self, flight: Flight, blow: Blow) -> None:
        process, is_worker = flight.process, flight.process.name[0] == "w"
        fates = {Blow.LOST: Fate.LOST, Blow.ANSWER_LOST: Fate.ANSWER_LOST, Blow.LATE: Fate.LATE, Blow.STALE: Fate.STALE}
        if blow in fates or not is_worker:
            self.world.carry_out(flight, fates.get(blow, Fate.DONE))
            return
        if blow in {Blow.FREEZES, Blow.FREEZES_AFTER}:
            self.world.freeze(process)
        else:
            self.world.crash(process)
        if blow in {Blow.DIES_AFTER, Blow.FREEZES_AFTER}:
            self.world.carry_out(flight)

    def _act(self, job_id: str, seconds: float, meanwhile: Meanwhile, which: int) -> None:
        is_undo = meanwhile is Meanwhile.UNDO and job_id in self.model.jobs
        if is_undo:
            self.request(job_id, "pause")
            self.work_for(5)
        self.world.note(f"{seconds} s pass")
        self.world.pass_time(seconds)
        if is_undo:
            self.request(job_id, "undo")
        elif meanwhile is Meanwhile.CANCEL and job_id in self.model.jobs:
            self.request(job_id, "cancel")
        if meanwhile is not Meanwhile.NOTHING and self.running:
            self.start_rescue(self.running[which % len(self.running)])
