"""A job as a caller of Python or HTTP gets it: typed, with the fields of `--json`. More fields may come; none goes.

What is not known is None; times are ISO 8601 in UTC.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from relabel.errors import RowsFailed
from relabel.selection_status import SelectionStatus


class RowCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How a job's rows stand. The outcomes and `pending` sum up to `total`; `folded` is outside the sum."""

    total: int
    updated: int
    unchanged: int
    failed: int
    rejected: int
    drifted: int
    cancelled: int
    would_change: int
    pending: int
    folded: int


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a job cost: requests sent, tries again, answers 429."""

    sent: int
    retries: int
    throttled: int


class JobWaits(msgspec.Struct, frozen=True, kw_only=True):
    """What rows are doing just now: in a request, waiting for the rate, backing off, blocked by another job's request.

    Rates are in requests a minute, 0 where they are not known; `paused_s` is for how long nothing may be sent.
    """

    in_flight: int
    for_rate: int
    backing_off: int
    paused_s: float
    paused_by: str
    rate_per_minute: float
    asked_per_minute: float
    slowed_by: str
    blocked: int
    blocked_by: str


class RequestError(msgspec.Struct, frozen=True, kw_only=True):
    """The last request that did not succeed: its HTTP status (0: no answer), its code, the server's message."""

    status: int
    code: str
    message: str


class ChildStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was made of another one's rows; its state is None where it is kept no more."""

    job_id: str
    kind: str
    state: str | None


class ValueChange(msgspec.Struct, frozen=True, kw_only=True):
    """How often a plan would change a key from one value to another; None is an absent key."""

    key: str
    before: str | None
    after: str | None
    rows: int


class PlanSample(msgspec.Struct, frozen=True, kw_only=True):
    """A row that a plan would change; `file` is there where its input is several files."""

    file: str | msgspec.UnsetType = msgspec.UNSET
    line: int
    id: str
    before: dict[str, str | None]
    after: dict[str, str | None]


class CanaryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that a job carries out first, and whether they ended well."""

    rows: int
    state: str


class VerificationResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the latest verification of a job found: whether all rows hold what the job left."""

    job_id: str
    state: str
    by: str | None
    finished_at: str | None
    rows: int
    holds: bool
    holding: int
    differing: int
    unread: int
    differences: dict[str, int]


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands: what it is, its state with the reason, its rows, what it waits for.

    `changes`, `changes_other` (rows of the changes that are not listed, by key) and `samples` are there for a plan
    only, `digest` once it has finished. `approval_digest` is what has to be approved, None where nothing has.
    """

    object: Literal["job"] = "job"
    job_id: str
    state: str
    reason: str | None
    reason_code: str | None
    name: str
    kind: str
    parent: str | None
    children: list[ChildStatus] = []
    by: str | None
    keys: list[str] | None
    more_keys: bool
    priority: str
    mode: str
    oldest_first: bool = False
    shard_rows: int | None = None
    target: str
    rows: RowCounts
    may_have_been_written: int
    requests: RequestCounts
    waits: JobWaits
    rows_per_s: float
    rate_per_minute: float | None
    eta_s: float | None
    no_row_ended_since: str | None
    last_error: RequestError | None
    submitted_at: str
    finished_at: str | None
    digest: str | None = None
    approval_digest: str | None = None
    approved_by: str | None = None
    approved_at: str | None = None
    held_at: str | None = None
    canary: CanaryStatus | None = None
    verification: VerificationResult | None = None
    selection: SelectionStatus | None = None
    changes: list[ValueChange] = []
    changes_other: dict[str, int] = {}
    samples: list[PlanSample] = []

    @property
    def goes_on(self) -> bool:
        """Whether something happens to the job by itself: it has neither ended nor waits for somebody."""
        return self.state in {"submitting", "running"}

    def raise_for_failures(self) -> None:
        """Raise RowsFailed unless the job finished with every row updated or unchanged."""
        if self.state != "finished":
            reason = f" ({self.reason})" if self.reason else ""
            raise RowsFailed(f"job {self.job_id} is {self.state}{reason}, so not all of its rows are done.")
        rows = self.rows
        words = ("failed", "rejected", "drifted")
        if bad := [f"{number:,} {word}" for word in words if (number := getattr(rows, word))]:
            how = f"rows(outcome={','.join(word for word in words if getattr(rows, word))!r}) of the job says why"
            raise RowsFailed(f"of {rows.total:,} rows of job {self.job_id}, {', '.join(bad)}; {how}.")


class RejectedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a row was rejected, and why; `file` is there where the input is several files."""

    file: str | msgspec.UnsetType = msgspec.UNSET
    line: int
    column: str | None
    reason: str


class SubmittedJob(JobStatus, frozen=True, kw_only=True):
    """A job that was submitted, the first of its rejected rows, and why it may wait; the report has all rows."""

    rejected_total: int
    rejections: list[RejectedRow]
    warnings: list[str]


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed a job, when (seconds since the epoch) and why."""

    object: Literal["log_entry"] = "log_entry"
    id: str
    at: float
    who: str
    verb: str
    why: str
