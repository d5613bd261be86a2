"""The schedule: Hypothesis chooses what happens next, and shrinks what fails to the shortest history that does."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from hypothesis import currently_in_test_context, note, strategies
from hypothesis.stateful import initialize

from ledger.archive_queue import LOCK_LIFE_S
from tests.simulation.aimed import AimedFaults
from tests.simulation.disasters import Disasters
from tests.simulation.ending import Ending
from tests.simulation.link import Wire
from tests.simulation.model import Model
from tests.simulation.people import MOST_JOBS, AskedJob, Attempt, People, jobs
from tests.simulation.person import Person
from tests.simulation.scripts import scripts
from tests.simulation.server import ClockedRedis
from tests.simulation.service import Service
from tests.simulation.setting import COMPLETIONS, WORKERS
from tests.simulation.world import World

END_WITHIN = 3_000
"""Steps without a fault by which everything has ended."""


class LedgerSimulation(AimedFaults, Disasters, People):
    """Workers, people and faults around one ledger. `server` and `wire` are set by whoever runs it."""

    server: ClockedRedis
    wire: Wire
    steps = 0

    @initialize(
        merges=strategies.booleans(),
        first=jobs,
        second=jobs,
        may_be_emptied=strategies.sampled_from([False] * 4 + [True]),
        archives=strategies.booleans(),
    )
    def begin(self, merges: bool, first: AskedJob, second: AskedJob, may_be_emptied: bool, archives: bool) -> None:
        """Start workers, and submit two jobs to an empty ledger."""
        self.server.admin.flushall()
        self.server.admin.script_flush()  # what an earlier schedule left would change what this one sends
        for script in scripts().values():
            self.server.admin.script_load(script.script)
        # where keys can only be replaced, none is added: taking it back would need a removal
        old = {f"k{n}": "old" for n in range(1, MOST_JOBS + 1)} if merges else {"k1": "old"}
        service = Service({each: {"team": "blue", **old} for each in COMPLETIONS}, merges=merges)
        self.model = Model(self.server.admin, service)
        self.world = World(self.server, self.wire, service, self.model)
        for number in range(WORKERS):
            self.world.start_process(f"w{number + 1}")
        self.person = Person(self.world.start_process("person"), self.model, self.world.announce)
        self.restarts, self.may_be_emptied = 0, may_be_emptied
        self.archives = self._folder() if archives else None
        if self.archives:
            self.workers[0].archive(self.archives)
            self.world.settle()
            self.work_for(10)
        self.submit(first)
        self.submit(second)

    def teardown(self) -> None:
        """Let the faults end: every job then ends, exact, and can be taken back."""
        if not hasattr(self, "world"):
            return
        try:
            if sys.exc_info()[0] is None:  # else a step failed, and the schedule ends there
                self._end()
        finally:
            self.world.end()
            if self.archives:
                shutil.rmtree(self.archives)
            LedgerSimulation.steps += self.world.steps
            if currently_in_test_context():  # a known schedule is run by itself
                note("\n".join(self.world.history))

    def _end(self) -> None:
        self.world.note("the faults end")
        for process in self.workers:
            process.skew = 0.0
            if process.is_frozen:
                self.world.thaw(process)
        self.world.pass_time(self.world.server_behind_s)  # leases from before it was set back live that much longer
        ending = Ending(self.model)
        self._run_to_the_end()
        ending.check()
        if self.model.lost_at is not None:
            for process in self.workers:
                self.start_rescue(process)
            self._run_to_the_end()
        ending.check_losses(self.workers)
        for job in list(self.model.jobs.values()):
            if job.journal and not (job.undoes or job.plans):
                self.request(job.job_id, "undo")
                self._run_to_the_end()
                ending.check_undo_of(job)
        ending.check()
        if self.archives:
            self.world.pass_time(LOCK_LIFE_S)  # a worker that died may have the lock
            self.workers[0].archive(self.archives)
            self._run_to_the_end()
            ending.check_archive(self.archives)

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="archive-", dir=self.server.folder))

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
                self.request(job.job_id, "cancel" if self.model.is_undone(job) else "resume")
            elif job.state == "held":
                self.request_approval(job.job_id, Attempt.RIGHT)
        self.workers[turn % WORKERS].rescue()
        self.world.pass_time(1.7)

    def _have_ended(self) -> bool:
        is_busy = any(process.tasks for process in self.world.processes)
        if not is_busy:
            self.model.forget_unborn()
        return not is_busy and all(job.has_ended for job in self.model.jobs.values())
