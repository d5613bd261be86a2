"""A job as it stands: which state it is in, and how its rows are."""

from __future__ import annotations

import enum

import msgspec

from ledger.approval import NEEDS_APPROVAL_CODE, Approval
from ledger.job_spec import JobSpec, Kind
from ledger.list_reads import JobSelection
from ledger.progress import Standstill, Waits

SAME_FAILURE_CODE = "same_failure"
"""The reason code of a job whose first rows all failed with one code."""
CANARY_FAILED_CODE = "canary_failed"
"""The reason code of a job that paused as rows of its canary failed or had drifted."""
NEEDS_CONFIRMATION_CODE = "needs_confirmation"
"""The reason code of a held job whose file raises questions; the reason is the questions."""
CANCELLED_CODE = "cancelled"
"""The reason code of a cancelled job; the reason is who cancelled it, and why."""
STATE_LOST_CODE = "state_lost"
"""The reason code of a job that is lost, or that a worker paused as rows of it are."""
LOST_REASON = "Redis lost some or all of the job: it came back empty, or keys were removed"
"""The reason of a job that is lost."""
SUBMIT_AGAIN = "submit the file again with --again: rows that are as they should be are then left unchanged"
"""What to do about a job that is lost."""


class JobState(enum.StrEnum):
    """Where a job stands. `state lost` is what readers say of a job whose keys are gone or torn."""

    SUBMITTING = "submitting"
    HELD = "held"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    LOST = "state lost"

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to the job any more."""
        return self in {JobState.FINISHED, JobState.CANCELLED, JobState.LOST}


class Canary(enum.StrEnum):
    """How the rows stand that a job carries out first: only these, until all have ended well or somebody overrules."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    OVERRULED = "overruled"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How a job's rows stand. The outcomes and `pending` sum up to `total`; `folded` is outside the sum."""

    total: int
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    rejected: int = 0
    drifted: int = 0
    cancelled: int = 0
    would_change: int = 0
    pending: int = 0
    folded: int = 0

    @property
    def settled(self) -> int:
        """Rows that have ended."""
        return self.total - self.pending

    @property
    def carried_out(self) -> int:
        """Rows that have ended otherwise than by a cancellation."""
        return self.settled - self.cancelled


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What the job cost: requests sent, tries again, answers 429."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands now. Times are seconds since the epoch by the Redis server's clock.

    `may_have_been_written` counts the cancelled rows of which a write may have left before. `paused_at` and `held_at`
    are None in every other state; `progress_at` is when a row ended last, or the job began to run since. `standstill`
    is there where rows of a running job ought to end and none does. `digest` is that of all rows with their outcomes,
    in hex, once the job has finished; only a plan has one. `canary` is None where the job has none, `approval` where it
    needs none, `selection` where its rows are not selected by workers. `drifted_by` counts the rows that drifted by
    code, the most frequent first; of a job of release one it is empty.
    """

    spec: JobSpec
    state: JobState
    reason: str | None
    reason_code: str | None
    rate_per_minute: float | None
    submitted_at: float
    finished_at: float | None
    counts: Counts
    traffic: Traffic
    rows_per_s: float
    waits: Waits
    may_have_been_written: int = 0
    paused_at: float | None = None
    progress_at: float = 0.0
    standstill: Standstill | None = None
    digest: str | None = None
    canary: Canary | None = None
    held_at: float | None = None
    approval: Approval | None = None
    selection: JobSelection | None = None
    drifted_by: dict[str, int] = {}

    @property
    def is_read_by_workers(self) -> bool:
        """Whether workers have yet to read the list for it, or just do."""
        return self.selection is not None and self.state is JobState.SUBMITTING

    @property
    def state_reason(self) -> str | None:
        """The reason for the state, None where there is none."""
        if self.state is JobState.LOST and self.reason_code != STATE_LOST_CODE:
            return LOST_REASON  # what is left of a torn job may give the reason for an earlier state
        return self.reason

    @property
    def waits_for_decision(self) -> bool:
        """Whether the job paused because of how its first rows ended: nothing happens until somebody looks."""
        return self.state is JobState.PAUSED and self.reason_code in {SAME_FAILURE_CODE, CANARY_FAILED_CODE}

    @property
    def waits_for_confirmation(self) -> bool:
        """Whether the job is held as its file raises questions: resuming it is the yes, cancelling it the no."""
        return self.state is JobState.HELD and self.reason_code == NEEDS_CONFIRMATION_CODE

    @property
    def waits_for_approval(self) -> bool:
        """Whether nothing but the approval of somebody other than its submitter is missing."""
        return self.state is JobState.HELD and self.reason_code == NEEDS_APPROVAL_CODE

    @property
    def lacks_approval(self) -> bool:
        """Whether the job waits for an approval that it needs, if not for that alone."""
        return self.state is JobState.HELD and self.approval is not None and self.approval.is_missing

    @property
    def canary_ended(self) -> int:
        """Rows of the canary that have ended; while it is open, no others do."""
        counts = self.counts
        return min(self.spec.canary, counts.settled - counts.rejected - counts.cancelled - self.spec.unchanged)

    @property
    def has_pace(self) -> bool:
        """Whether rows end, so that the pace of the last seconds says something of the next ones."""
        failing = self.waits.paused_s > 0 and self.waits.paused_by == "failing"
        return self.state is JobState.RUNNING and self.rows_per_s > 0 and not self.standstill and not failing

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end at the pace of the last seconds; None while nothing can be said."""
        return self.counts.pending / self.rows_per_s if self.has_pace else None


def rows_lost(job_id: str, consequence: str, remedy: str = SUBMIT_AGAIN) -> str:
    """Return the sentence, without its period, on a job of which rows are gone, with what follows and what to do."""
    return f"Redis lost rows of job {job_id}, so {consequence}; {remedy}"


def remedy_of(spec: JobSpec) -> str:
    """Return what to do about a job whose rows are gone: what was reviewed is reviewed again."""
    if spec.kind is Kind.VERIFY:
        return f"`relabel verify {spec.parent}` reads that job again"
    if spec.kind is Kind.PLAN:
        return "plan these rows again"
    if spec.kind is Kind.APPLY:
        return "plan its rows again and apply that plan: rows that are as they should be are then left unchanged"
    return SUBMIT_AGAIN
