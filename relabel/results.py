"""What a caller of Python or HTTP gets: typed, with the fields of `--json`. More fields may come; none goes.

What is not known is None; times are ISO 8601 in UTC. Each is made of the facts that `relabel/facts.py` and its like
return, so that all doors say the same.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from relabel.job_status import RejectedRow, RowCounts

T = TypeVar("T")


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
    doubts: list[str] = []


def result_of(facts: dict[str, Any], result: type[T]) -> T:
    """Return facts as a result, checked; what the result does not know is left out."""
    return msgspec.convert(facts, result)
