"""A job: what was asked for, which state it is in, and how its rows stand."""

from __future__ import annotations

import enum

import msgspec

from config.text import sanitize
from ledger.input_files import InputFile
from ledger.progress import Standstill, Waits

KEPT_KEYS = 64
"""Metadata keys that a job keeps the names of; of a file with more, the first ones."""
NAME_CHARS = 255
"""Characters of a job's name: those of any file's name."""
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


class Mode(enum.StrEnum):
    """What a patch means: added to what is there (`merge`), or all that is to be there (`replace`)."""

    MERGE = "merge"
    REPLACE = "replace"


class Kind(enum.StrEnum):
    """What a job does, and where its rows come from: a file, or another job's rows.

    An undo takes those back, a retry tries them again, an apply carries out what a plan shows. A plan and a verify only
    read: a plan computes what would change, a verify compares with what another job left.
    """

    FILE = "file"
    UNDO = "undo"
    RETRY = "retry"
    PLAN = "plan"
    APPLY = "apply"
    VERIFY = "verify"

    @property
    def only_reads(self) -> bool:
        """Whether the job's rows are read and never written."""
        return self in {Kind.PLAN, Kind.VERIFY}


ALL_KINDS = frozenset(Kind)
CHANGING_KINDS = frozenset(kind for kind in Kind if not kind.only_reads)
"""Kinds of jobs that change completions, so that they can be undone, retried and verified."""


class Priority(enum.StrEnum):
    """A job's share of the workers where several jobs run: high gets twice what normal gets, low half of it."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def weight(self) -> int:
        """The share as a number."""
        return {"high": 4, "normal": 2, "low": 1}[self.value]


class Canary(enum.StrEnum):
    """How the rows stand that a job carries out first: only these, until all have ended well or somebody overrules."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    OVERRULED = "overruled"


class Columns(msgspec.Struct, frozen=True):
    """How the input was laid out, so that a report can be laid out the same.

    `format` is `csv` or `jsonl`; `id_column` is `completion_id` or `id`; `header` holds a CSV file's columns in order.
    `files` are those of an input of several.
    """

    format: str
    id_column: str
    header: list[str]
    files: list[InputFile] = []


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; it never changes. `target` is the base URL of the API that the job is meant for.

    `rows` counts those that workers carry out; `unchanged` rows name nothing to change, so nothing is sent for them.
    `parent` is the id of the job whose rows these are, where they come from no file. `max_failures` is what
    `config.failure_limit.FailureLimit` reads. `by` is who submitted it (user@host, '' where not known), `nightly` the
    date of the nightly run that made it ('' for none). `keys` are the
    metadata keys that its rows name, sorted, the first `KEPT_KEYS` of them where there are `more_keys`; None where they
    were not kept. `exact` rows are carried out only where all that they expect is held, as somebody reviewed that.
    `canary` rows are spread over the input and stored first, in shards of their own: no other shard is given out before
    they were read back. With `oldest_first` rows are in the order of their completions' age, else in that of the input.
    """

    job_id: str
    name: str
    mode: Mode
    journal: bool
    target: str
    columns: Columns
    rows: int
    shards: int
    shard_rows: int
    rejected: int
    folded: int
    fingerprint: str
    keep_s: float
    kind: Kind = Kind.FILE
    parent: str | None = None
    max_failures: str | None = None
    priority: Priority = Priority.NORMAL
    by: str = ""
    nightly: str = ""
    keys: list[str] | None = None
    more_keys: bool = False
    unchanged: int = 0
    canary: int = 0
    oldest_first: bool = False
    exact: bool = False

    @property
    def files(self) -> list[InputFile]:
        """The files of the input where it had several; lines are numbered through them."""
        return self.columns.files

    @property
    def canary_shards(self) -> int:
        """The number of shards that hold the canary; they are the first ones."""
        return -(-self.canary // self.shard_rows)

    def first_row(self, shard: int) -> int:
        """Return the number within the job of the shard's first row."""
        behind = shard - self.canary_shards
        return shard * self.shard_rows if behind < 0 else self.canary + behind * self.shard_rows

    def rows_in(self, shard: int) -> int:
        """Return the number of rows in the shard: all are full but the last one, and the last one of the canary."""
        end = self.canary if shard < self.canary_shards else self.rows
        return min(self.shard_rows, end - self.first_row(shard))

    def stored_row(self, place: int) -> int:
        """Return the number of a row within the job by its place in the input, both from 0."""
        before = -(-place * self.canary // self.rows)  # rows of the canary, which are evenly spread
        is_canary = before < self.canary and before * self.rows // self.canary == place
        return before if is_canary else self.canary + place - before

    def input_order(self, row: int) -> tuple[int, int]:
        """Return what rows are sorted by to be in the order of the input; rows beside the canary have their rank."""
        return (row - self.canary, 1) if row >= self.canary else (row * self.rows // self.canary - row, 0)

    def place_of(self, row: int) -> tuple[int, int]:
        """Return the shard of a row by its number within the job, and its number within that shard."""
        if row < self.canary:
            return divmod(row, self.shard_rows)
        shard, place = divmod(row - self.canary, self.shard_rows)
        return self.canary_shards + shard, place


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

    `may_have_been_written` counts the cancelled rows of which a write may have left before. `paused_at` is None in
    every other state; `progress_at` is when a row ended last, or the job began to run since. `standstill` is there
    where rows of a running job ought to end and none does. `digest` is that of all rows with their outcomes, in hex,
    once the job has finished; only a plan has one. `canary` is None where the job has none.
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


def job_name(text: str) -> str:
    """Return what a job is called, of a file's name or what somebody chose: one printable line."""
    return sanitize(text, NAME_CHARS)


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
