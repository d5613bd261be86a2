"""What a caller of Python or HTTP gets: typed, with the fields of `--json`. More fields may come; none goes.

What is not known is None; times are ISO 8601 in UTC. Each is made of the facts that `relabel/facts.py` and its like
return, so that all doors say the same.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from relabel.errors import RowsFailed

T = TypeVar("T")


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
    only, `digest` once it has finished.
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
    canary: CanaryStatus | None = None
    verification: VerificationResult | None = None
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


class InputRows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of an input; `conflicting` are folded rows that gave a key another value."""

    valid: int
    rejected: int
    folded: int
    conflicting: int
    unchanged: int
    cleared: int


class KeyPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What an input does with a metadata key, with its first values; `index`: it looks like row numbers."""

    key: str
    set: int
    removed: int
    left_out: int
    samples: list[str]
    index: bool


class QuestionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has to confirm before anything is sent."""

    code: str
    sentence: str


class PreviewResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an input would do, and what its job would meet; nothing was stored."""

    object: Literal["preview"] = "preview"
    name: str
    format: str
    delimiter: str | None
    ignored_columns: list[str]
    notices: list[str]
    mode: str
    completions: int
    rows: InputRows
    files: list[str]
    rejections: list[RejectedRow]
    keys: list[KeyPreview]
    other_pairs: int
    null_texts: dict[str, int]
    odd_ids: dict[str, Any]
    outlook: dict[str, Any] | None
    questions: list[QuestionResult]


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed a job, when (seconds since the epoch) and why."""

    object: Literal["log_entry"] = "log_entry"
    id: str
    at: float
    who: str
    verb: str
    why: str


class ValueChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What a row did to one key; where `before_known` is false, nobody kept what was there."""

    key: str
    before: str | None
    after: str | None
    before_known: bool


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """A row and how it ended. `row` is None for one that was never sent, `completion_id` for a rejected one.

    `metadata` is what the row asks for (None removes a key), `before` the whole metadata that was there, where it was
    kept. `input` is the text of a rejected row. `id` is its place in the list.
    """

    object: Literal["row"] = "row"
    id: str
    row: int | None
    file: str | None
    line: int | None
    completion_id: str | None
    outcome: str
    code: str | None
    status: int | None
    message: str | None
    request_id: str | None
    attempts: int | None
    at: str | None
    settled_at: str | None
    metadata: dict[str, str | None] | None
    before: dict[str, str] | None
    changes: list[ValueChanged]
    input: str | None


class RateResult(msgspec.Struct, frozen=True, kw_only=True):
    """The shared rate in requests a minute: by the settings, set live (None: not), in force, and why it is lower."""

    object: Literal["rate"] = "rate"
    configured_per_minute: float
    configured_burst: int
    live_per_minute: float | None
    live_burst: int | None
    asked_per_minute: float
    in_force_per_minute: float
    slowed_by: str
    used_per_minute: float
    paused_s: float
    paused_until: float | None
    paused_by: str
    worker_rates_per_minute: list[float]
    failing_s: float
    background_per_minute: float = 0.0
    background_used_per_minute: float = 0.0


class JobRate(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of one job in requests a minute; None where only the shared rate counts."""

    object: Literal["job_rate"] = "job_rate"
    job_id: str
    rate_per_minute: float | None


class UndoneChange(ValueChanged, frozen=True, kw_only=True):
    """What a job did to one key of a completion, and the job that restored it."""

    undone_by: str | None


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row for a completion, and the job that it is of."""

    at: str | None
    job_id: str
    name: str
    kind: str
    parent: str | None
    mode: str
    target: str
    by: str | None
    submitted_at: str
    outcome: str
    code: str | None
    may_have_been_written: bool
    changes: list[UndoneChange]


class CompletionHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What changed a completion, oldest first; and the jobs and archives that could not be searched."""

    object: Literal["history"] = "history"
    completion_id: str
    entries: list[HistoryRow]
    searched: int
    not_searched: list[str]
    lost: list[str]
    unread_archives: list[str]
    unseen_folders: list[str]


class NightFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a nightly run, where it went, and the job that carries it out."""

    name: str
    state: str
    reason: str | None
    place: str | None
    job_id: str | None
    own: bool
    job_state: str | None
    rows: RowCounts | None


class NightlyRunResult(msgspec.Struct, frozen=True, kw_only=True):
    """The nightly run of a date, with its files."""

    object: Literal["nightly_run"] = "nightly_run"
    date: str
    state: str
    reason: str | None
    asked_by: str | None
    started_at: str
    ended_at: str | None
    files: int
    jobs: int
    rejected: int
    held: int
    entries: list[NightFile]


class TokenResult(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token; its text is shown once, where it is made."""

    object: Literal["token"] = "token"
    name: str
    owner: str
    scopes: list[Literal["read", "submit", "control", "approve", "admin"]]
    created_by: str
    created_at: str
    expires_at: str
    last_used_at: str | None


class NewTokenResult(TokenResult, frozen=True, kw_only=True):
    """A token that was just made, with its text."""

    token: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found, and what to do next."""

    verdict: Literal["ok", "warn", "fail"]
    said: str
    next: str | None


class Check(Finding, frozen=True, kw_only=True):
    """A check of the deployment; `more` is what it found besides."""

    check: str
    more: list[Finding]


class HealthResult(msgspec.Struct, frozen=True, kw_only=True):
    """The worst verdict, when it was looked, and each check."""

    object: Literal["health"] = "health"
    status: Literal["ok", "warn", "fail"]
    checked_at: str
    checks: list[Check]


class SelectionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection found: completions read and matched, those left out by reason, what it cost, what it wrote."""

    object: Literal["selection"] = "selection"
    read: int
    matched: int
    left_out: dict[str, int]
    requests: int
    seconds: float
    output: str | None
    rows: int
    doubts: list[Any] = []


def result_of(facts: dict[str, Any], result: type[T]) -> T:
    """Return facts as a result, checked; what the result does not know is left out."""
    return msgspec.convert(facts, result)
