"""The schedule: Hypothesis chooses what happens next, and shrinks what fails to the shortest history that does."""

from __future__ import annotations

import sys
from typing import NamedTuple

from hypothesis import note, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ledger.row import Patch
from tests.simulation.link import Wire
from tests.simulation.model import Model
from tests.simulation.person import Person
from tests.simulation.process import Process
from tests.simulation.server import ClockedRedis
from tests.simulation.service import Service
from tests.simulation.world import Fate, World

COMPLETIONS = [f"chatcmpl-{letter}" for letter in "abc"]
WORKERS, MOST_JOBS = 3, 5
END_WITHIN = 3_000
"""Steps without a fault by which everything has ended."""

places = strategies.integers(0, 11)
"""Names one of a list, whatever its length."""


class AskedJob(NamedTuple):
    """What a job is asked to be; `journal` keeps before-images."""

    rows: int
    shard_rows: int
    journal: bool


jobs = strategies.builds(AskedJob, strategies.integers(1, 3), strategies.integers(1, 3), strategies.booleans())


class LedgerSimulation(RuleBasedStateMachine):
    """Workers, people and faults around one ledger. `server` and `wire` are set by whoever runs it."""

    server: ClockedRedis
    wire: Wire
    steps = 0

    @initialize(merges=strategies.booleans(), first=jobs, second=jobs)
    def begin(self, merges: bool, first: AskedJob, second: AskedJob) -> None:
        """Start workers, and submit two jobs to an empty ledger."""
        self.server.admin.flushall()
        self.server.admin.script_flush()  # what an earlier schedule left would change what this one sends
        # where keys can only be replaced, none is added: taking it back would need a removal
        old = {f"k{n}": "old" for n in range(1, MOST_JOBS + 1)} if merges else {"k1": "old"}
        service = Service({each: {"team": "blue", **old} for each in COMPLETIONS}, merges=merges)
        self.model = Model(self.server.admin, service)
        self.world = World(self.server, self.wire, service, self.model)
        for number in range(WORKERS):
            self.world.start_process(f"w{number + 1}")
        self.person = Person(self.world.start_process("person"), self.model, self.world._announce)
        for script in self.person.process.scripts().values():
            self.server.admin.script_load(script.script)
        self.restarts = 0
        self.submit(first)
        self.submit(second)

    @rule(job=jobs)
    @precondition(lambda self: len(self.model.jobs) < MOST_JOBS)
    def submit(self, job: AskedJob) -> None:
        """Somebody submits a job, which sets a key of its own."""
        key = f"k{len(self.model.jobs) + 1}"
        patches = [Patch(row + 2, COMPLETIONS[row], {key: "new"}) for row in range(job.rows)]
        job_id = self.person.submits(patches, shard_rows=job.shard_rows, journal=job.journal)
        self.world.note(f"person: submits {job_id}")
        self.world.settle()

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
        for _ in range(steps):
            if not self.world.work():
                return

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
    @precondition(lambda self: any(process.runs for process in self.workers))
    def freeze(self, which: int) -> None:
        """A worker stops, as by SIGSTOP."""
        running = [process for process in self.workers if process.runs]
        self.world.freeze(running[which % len(running)])

    @rule(which=places)
    @precondition(lambda self: any(process.is_frozen for process in self.workers))
    def thaw(self, which: int) -> None:
        """A stopped worker goes on."""
        frozen = [process for process in self.workers if process.is_frozen]
        self.world.thaw(frozen[which % len(frozen)])

    @rule(
        which=places,
        seconds=strategies.sampled_from([5.3, 8.3, 12.1, 31.3]),
        steps=strategies.integers(0, 40),
        job=places,
    )
    @precondition(lambda self: any(process.runs for process in self.workers))
    def sleep_through(self, which: int, seconds: float, steps: int, job: int) -> None:
        """A worker stops and goes on later; others take its shards over, or somebody pauses and undoes a job."""
        running = [process for process in self.workers if process.runs]
        sleeper = running[which % len(running)]
        self.world.freeze(sleeper)
        asked = sorted(self.model.jobs)[job % len(self.model.jobs)]
        if job % 2:
            self._ask(asked, "pause")
            self.work_on(5)
        self.stall(seconds)
        if job % 2:
            self._ask(asked, "undo")
        elif len(running) > 1:
            self.rescue(which)
        self.work_on(steps)
        if sleeper.is_frozen:
            self.world.thaw(sleeper)

    @rule(which=places)
    def crash(self, which: int) -> None:
        """A worker is killed, and its supervisor starts another."""
        self.world.crash(self.workers[which % WORKERS])

    @rule(which=places)
    @precondition(lambda self: any(process.runs for process in self.workers))
    def rescue(self, which: int) -> None:
        """A worker looks after the jobs."""
        running = [process for process in self.workers if process.runs]
        process = running[which % len(running)]
        self.world.note(f"{process.name}: rescues")
        process.rescue()
        self.world.settle()

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

    @rule(which=places, what=strategies.sampled_from(["pause", "resume", "cancel", "undo"]))
    @precondition(lambda self: self.model.jobs)
    def ask(self, which: int, what: str) -> None:
        """Somebody pauses, resumes, cancels or undoes a job."""
        job_ids = sorted(self.model.jobs)
        self._ask(job_ids[which % len(job_ids)], what)

    def _ask(self, job_id: str, what: str) -> None:
        job = self.model.jobs[job_id]
        is_undone = any(other.undoes == job_id for other in self.model.jobs.values())
        if (what == "resume" and is_undone) or (what == "undo" and (is_undone or job.undoes)) or not job.state:
            return
        self.world.note(f"person: {what} {job_id}")
        verbs = {"pause": self.person.pauses, "resume": self.person.resumes, "cancel": self.person.cancels}
        (verbs | {"undo": self.person.undoes})[what](job_id)
        self.world.settle()

    @property
    def workers(self) -> list[Process]:
        """The workers, in the order of their names."""
        return sorted((each for each in self.world.processes if each.name[0] == "w"), key=lambda each: each.name)

    def teardown(self) -> None:
        """Let the faults end: every job then ends, exact, and can be taken back."""
        if not hasattr(self, "world"):
            return
        try:
            if sys.exc_info()[0] is None:  # else a step failed, and the schedule ends there
                self._end()
        finally:
            self.world.end()
            LedgerSimulation.steps += self.world.steps
            note("\n".join(self.world.history))

    def _end(self) -> None:
        self.world.note("the faults end")
        for process in self.workers:
            process.skew = 0.0
            if process.is_frozen:
                self.world.thaw(process)
        self.world.pass_time(self.world.server_behind_s)  # leases from before it was set back live that much longer
        self._run_to_the_end()
        self.model.check_end()
        for job in list(self.model.jobs.values()):
            if job.journal:
                self._ask(job.job_id, "undo")
                self._run_to_the_end()
        self.model.check_end()

    def _run_to_the_end(self) -> None:
        for number in range(END_WITHIN):
            if number % 40 == 0:
                self._look_after_jobs(number // 40)
            self.world.work()
            if self._have_ended():
                return
        raise AssertionError(f"jobs do not end: {[(job.job_id, job.state) for job in self.model.jobs.values()]}")

    def _look_after_jobs(self, turn: int) -> None:
        for job in list(self.model.jobs.values()):
            if job.state == "paused":
                is_undone = any(other.undoes == job.job_id for other in self.model.jobs.values())
                self._ask(job.job_id, "cancel" if is_undone else "resume")
        self.workers[turn % WORKERS].rescue()
        self.world.pass_time(1.7)

    def _have_ended(self) -> bool:
        is_busy = any(process.tasks for process in self.world.processes)
        if not is_busy:
            self.model.forget_unborn()
        return not is_busy and all(job.has_ended for job in self.model.jobs.values())
