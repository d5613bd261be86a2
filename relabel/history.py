"""Finds every job that changed a completion: when, who asked for it, from what to what, and what undid it."""

from __future__ import annotations

from typing import Any, NamedTuple

from ledger.clock import utc_second, utc_time
from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job, JobState, Kind
from ledger.ledger import Ledger
from ledger.row import Outcome
from ledger.row_reader import read_row
from relabel.session import Session
from report.changes import ChangingJob, KeyChange, RowChange, changing_job, row_change

Undos = dict[tuple[str | None, str], str]
"""The job that restored a key, by the job whose change it took back and the key."""


class HistoryEntry(NamedTuple):
    """A row for the completion, the job that it is of, and by key the job that restored what it changed."""

    job: ChangingJob
    row: RowChange
    undone_by: dict[str, str]


class History(NamedTuple):
    """The rows for a completion, oldest first; the number of jobs searched, and those that could not be."""

    completion_id: str
    entries: list[HistoryEntry]
    searched: int
    not_searched: list[str]


async def history(session: Session, completion_id: str) -> History:
    """Return what the kept jobs did to a completion, oldest first."""
    ledger, rows, not_searched = session.ledger, list[tuple[ChangingJob, RowChange]](), list[str]()
    candidates = await ledger.row_indexes.search(completion_id)
    for job_id, numbers in candidates.items():
        if numbers == []:
            continue
        try:
            job = await ledger.jobs.get(job_id)
            if numbers is not None:
                rows += await _rows(ledger, job, numbers, completion_id)
            elif _can_hold_rows(job):
                not_searched.append(job_id)
        except NoSuchJob:
            continue  # it has expired
        except StateLost:
            not_searched.append(job_id)
    return History(completion_id, _entries(rows), len(candidates) - len(not_searched), not_searched)


async def _rows(
    ledger: Ledger, job: Job, numbers: list[int], completion_id: str
) -> list[tuple[ChangingJob, RowChange]]:
    """Return the rows that are the completion's: those of another may share the hash of its id."""
    read = [await read_row(ledger.redis, job.spec, number) for number in numbers]
    return [(changing_job(job), row_change(job.spec, row)) for row in read if row.patch.completion_id == completion_id]


def _can_hold_rows(job: Job) -> bool:
    """Return whether a job without an index may have changed anything."""
    return job.spec.rows > 0 and job.state is not JobState.SUBMITTING


def _entries(rows: list[tuple[ChangingJob, RowChange]]) -> list[HistoryEntry]:
    """Return the rows in the order in which they ended, open ones last, with what undid them."""
    undos: Undos = {
        (job.parent, change.key): job.job_id
        for job, row in rows
        if job.kind == Kind.UNDO and row.outcome == Outcome.UPDATED.word
        for change in row.changes
    }
    in_order = sorted(rows, key=lambda pair: (pair[1].at is None, pair[1].at or 0, pair[0].submitted_at))
    return [HistoryEntry(job, row, _undone(job, row.changes, undos)) for job, row in in_order]


def _undone(job: ChangingJob, changes: list[KeyChange], undos: Undos) -> dict[str, str]:
    return {change.key: undos[job.job_id, change.key] for change in changes if (job.job_id, change.key) in undos}


def history_facts(found: History) -> dict[str, Any]:
    """Return a history as JSON takes it; null stands for a key that is not there, and for what is not known."""
    return {
        "completion_id": found.completion_id,
        "entries": [_entry_facts(entry) for entry in found.entries],
        "searched": found.searched,
        "not_searched": found.not_searched,
    }


def _entry_facts(entry: HistoryEntry) -> dict[str, Any]:
    job, row = entry.job, entry.row
    return {
        "at": utc_second(row.at) if row.at else None,
        "job_id": job.job_id,
        "name": job.name,
        "kind": job.kind,
        "parent": job.parent,
        "mode": job.mode,
        "target": job.target,
        "by": job.by or None,
        "submitted_at": utc_time(job.submitted_at),
        "outcome": row.outcome,
        "code": row.code or None,
        "may_have_been_written": row.may_have_been_written,
        "changes": [
            {
                "key": change.key,
                "before": change.before,
                "after": change.after,
                "before_known": change.before_known,
                "undone_by": entry.undone_by.get(change.key),
            }
            for change in row.changes
        ],
    }
