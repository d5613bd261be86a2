"""Rules for what people ask of jobs."""

from __future__ import annotations

import enum
from typing import NamedTuple

from hypothesis import strategies
from hypothesis.stateful import precondition, rule

from ledger.row import Patch
from tests.simulation.authority import LEAD, SUBMITTER
from tests.simulation.model import FOREIGN
from tests.simulation.service import TIMEOUT_S
from tests.simulation.setting import COMPLETIONS, Setting, places

MOST_JOBS = 5
QUIET_S = 6.0 + TIMEOUT_S + 1.0
"""Seconds after Redis came back empty in which nobody submits: until then, writes of lost jobs may still be applied."""


class Expected(enum.Enum):
    """What a job's rows expect of their key: what it holds, or something else in its first row, which has drifted."""

    NOTHING = enum.auto()
    HELD = enum.auto()
    NOT_BY_FIRST = enum.auto()


class Attempt(enum.Enum):
    """How somebody approves a job."""

    RIGHT = "which somebody else submitted"
    OWN_JOB = "which they submitted"
    OTHER_DIGEST = "by another digest"


class AskedJob(NamedTuple):
    """What a job is asked to be; `journal` keeps before-images. `canary` rows are carried out first.

    A job that `needs_approval` is held until somebody else gives it.

    As in the product, only a job that keeps before-images has a canary.
    """

    rows: int
    shard_rows: int
    journal: bool
    canary: int
    expects: Expected
    needs_approval: bool = False


jobs = strategies.builds(
    AskedJob,
    strategies.integers(1, 3),
    strategies.integers(1, 3),
    strategies.sampled_from([True, True, False]),
    strategies.sampled_from([0, 0, 1, 2]),
    strategies.sampled_from(Expected),
    strategies.sampled_from([False, False, False, True]),
)


class People(Setting):
    """People submit, pause, resume, approve, cancel and undo jobs."""

    @rule(job=jobs)
    @precondition(lambda self: self._may_submit())
    def submit(self, job: AskedJob) -> None:
        """Somebody submits a job, which sets a key of its own."""
        key = f"k{len(self.model.known) + 1}"
        held = self.model.service.states[COMPLETIONS[0]][0].get(key)
        first = FOREIGN if job.expects is Expected.NOT_BY_FIRST else held
        expects = [None if job.expects is Expected.NOTHING else {key: value} for value in (first, held, held)]
        patches = [Patch(row + 2, COMPLETIONS[row], {key: "new"}, expects[row]) for row in range(job.rows)]
        job_id = self.person.submits(
            patches,
            shard_rows=job.shard_rows,
            journal=job.journal,
            canary=job.canary if job.journal else 0,
            needs_approval=job.needs_approval,
        )
        self.world.note(f"person: submits {job_id}")
        self.world.settle()

    def _may_submit(self) -> bool:
        lost_at = self.model.lost_at
        return len(self.model.known) < MOST_JOBS and (lost_at is None or self.world.now > lost_at + QUIET_S)

    @rule(rows=strategies.integers(1, 3), shard_rows=strategies.integers(1, 3))
    @precondition(lambda self: self._may_submit())
    def plan(self, rows: int, shard_rows: int) -> None:
        """Somebody plans a change of a key that no job changes."""
        patches = [Patch(row + 2, COMPLETIONS[row], {"planned": "new"}) for row in range(rows)]
        job_id = self.person.plans(patches, shard_rows=shard_rows)
        self.world.note(f"person: plans {job_id}")
        self.world.settle()

    @rule(rows=strategies.integers(0, 3), shard_rows=strategies.integers(1, 3))
    @precondition(lambda self: self._may_submit())
    def select(self, rows: int, shard_rows: int) -> None:
        """Somebody plans a change of the first completions of the list, which workers are to read."""
        job_id = self.person.selects(rows, shard_rows=shard_rows)
        self.world.note(f"person: selects {job_id}")
        self.world.settle()

    @rule(which=places)
    def search(self, which: int) -> None:
        """Somebody searches all jobs for a completion."""
        completion_id = COMPLETIONS[which % len(COMPLETIONS)]
        self.world.note(f"person: searches {completion_id}")
        self.person.searches(completion_id)
        self.world.settle()

    @rule(which=places, what=strategies.sampled_from(["pause", "resume", "cancel", "undo"]))
    @precondition(lambda self: self.model.jobs)
    def ask(self, which: int, what: str) -> None:
        """Somebody pauses, resumes, cancels or undoes a job."""
        job_ids = sorted(self.model.jobs)
        self.request(job_ids[which % len(job_ids)], what)

    @rule(which=places, attempt=strategies.sampled_from(Attempt))
    @precondition(lambda self: any(job.needs_approval for job in self.model.jobs.values()))
    def approve(self, which: int, attempt: Attempt) -> None:
        """Somebody approves a job that needs it: as it should be, their own one, or something else."""
        job_ids = sorted(job_id for job_id, job in self.model.jobs.items() if job.needs_approval)
        self.request_approval(job_ids[which % len(job_ids)], attempt)

    def request_approval(self, job_id: str, attempt: Attempt) -> None:
        """Let somebody approve this job."""
        self.world.note(f"person: approves {job_id}, {attempt.value}")
        self.model.jobs[job_id].was_approved |= attempt is Attempt.RIGHT
        by = SUBMITTER if attempt is Attempt.OWN_JOB else LEAD
        self.person.approves(job_id, by=by, digest="other" if attempt is Attempt.OTHER_DIGEST else None)
        self.world.settle()

    def request(self, job_id: str, what: str) -> None:
        """Let somebody ask this of a job; nobody resumes one that is or may soon be undone, or undoes one twice."""
        job = self.model.jobs[job_id]
        is_undone = self.model.is_undone(job)
        if (
            (what == "resume" and (is_undone or self.person.undoing[job_id]))
            or (what == "undo" and (is_undone or job.undoes))
            or not job.state
        ):
            return
        self.world.note(f"person: {what} {job_id}")
        job.resumed |= what == "resume"
        verbs = {"pause": self.person.pauses, "resume": self.person.resumes, "cancel": self.person.cancels}
        (verbs | {"undo": self.person.undoes})[what](job_id)
        self.world.settle()
