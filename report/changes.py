"""What a row of a job did to its completion, key by key."""

from __future__ import annotations

import msgspec

from ledger.job import Job
from ledger.job_spec import JobSpec, Kind
from ledger.patching import diff
from ledger.row import Outcome
from ledger.row_reader import ReportedRow
from ledger.shards import IN_DOUBT_CODE


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one key: None where the completion does not have it. `after` is the value that the job intended.

    Where `before_known` is false nobody kept what was there (`--no-undo`).
    """

    key: str
    before: str | None
    after: str | None
    before_known: bool = True


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """How a row ended. `at` is when, in seconds since the epoch; None while it is open.

    `may_have_been_written`: the row did not end as updated, but a write of it may have happened. `changes` are those
    of a row that was or may have been written, or that a plan would write.
    """

    completion_id: str
    at: int | None
    outcome: str
    code: str
    may_have_been_written: bool
    changes: list[KeyChange]


class ChangingJob(msgspec.Struct, frozen=True, kw_only=True):
    """The job that a row is of. `submitted_at` is in seconds since the epoch; `by` is '' where it is not known."""

    job_id: str
    name: str
    kind: str
    parent: str | None
    mode: str
    target: str
    by: str
    submitted_at: float

    @property
    def only_reads(self) -> bool:
        """Whether the job's rows were read and never written."""
        return self.kind in {Kind.PLAN, Kind.VERIFY}


def changing_job(job: Job) -> ChangingJob:
    """Return what a history shows of a job."""
    spec = job.spec
    return ChangingJob(
        job_id=spec.job_id,
        name=spec.name,
        kind=str(spec.kind),
        parent=spec.parent,
        mode=str(spec.mode),
        target=spec.target,
        by=spec.by,
        submitted_at=job.submitted_at,
    )


_CHANGED = frozenset({Outcome.UPDATED, Outcome.WOULD_CHANGE})


def row_change(spec: JobSpec, row: ReportedRow) -> RowChange:
    """Return what a row did."""
    in_doubt = _is_in_doubt(spec, row)
    return RowChange(
        completion_id=row.patch.completion_id,
        at=row.settled_at,
        outcome=row.outcome.word,
        code=row.detail.code if row.detail else "",
        may_have_been_written=in_doubt,
        changes=_key_changes(spec, row) if in_doubt or row.outcome in _CHANGED else [],
    )


def _is_in_doubt(spec: JobSpec, row: ReportedRow) -> bool:
    """Return whether a row that is not updated may have been written all the same."""
    if spec.kind.only_reads:
        return False
    if row.outcome is Outcome.CANCELLED:
        return row.before is not None or (row.detail is not None and row.detail.code == IN_DOUBT_CODE)
    if row.outcome not in {Outcome.FAILED, Outcome.PENDING}:
        return False
    if spec.journal:
        return row.before is not None
    # without before-images, only a refusal tells that nothing was written
    return row.detail is not None and not 400 <= row.detail.status < 500


def _key_changes(spec: JobSpec, row: ReportedRow) -> list[KeyChange]:
    if row.before is None:
        named = sorted(row.patch.metadata.items())
        return [KeyChange(key=key, before=None, after=value, before_known=False) for key, value in named]
    changed = diff(row.before, row.patch.metadata, spec.mode)
    return [KeyChange(key=key, before=change.before, after=change.after) for key, change in changed.items()]
