"""Finds every job that changed a completion: when, who asked for it, from what to what, and what undid it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from ledger.clock import utc_second, utc_time
from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from ledger.ledger import Ledger
from ledger.person import name_of
from ledger.row import Outcome
from ledger.row_reader import read_row
from relabel.session import Session
from report.archive import archived_jobs, find_rows
from report.changes import ChangingJob, KeyChange, RowChange, changing_job, row_change

Undos = dict[tuple[str | None, str], str]
"""The job that restored a key, by the job whose change it took back and the key."""


Row = tuple[ChangingJob, RowChange]


class HistoryEntry(NamedTuple):
    """A row for the completion, the job that it is of, and by key the job that restored what it changed."""

    job: ChangingJob
    row: RowChange
    undone_by: dict[str, str]


class History(NamedTuple):
    """The rows for a completion, oldest first; the number of jobs searched, and those that could not be.

    Of those `lost` nobody knows the rows any more.
    `unread_archives` names archived reports that cannot be read, and `unseen_folders` those of workers that are others
    than the one of these settings.
    """

    completion_id: str
    entries: list[HistoryEntry]
    searched: int
    not_searched: list[str]
    lost: list[str]
    unread_archives: list[str]
    unseen_folders: list[str]


async def history(session: Session, completion_id: str) -> History:
    """Return what the kept jobs did to a completion, and the archived ones where their folder is seen; oldest first."""
    ledger, rows, expired = session.ledger, list[Row](), set[str]()
    not_searched, lost = list[str](), list[str]()
    candidates = await ledger.row_indexes.search(completion_id)
    for job_id, numbers in candidates.items():
        if numbers == []:
            continue
        try:
            job = await ledger.jobs.get(job_id)
            if job.spec.kind.only_reads:
                continue
            if numbers is not None:
                rows += await _rows(ledger, job, numbers, completion_id)
            elif _can_hold_rows(job):
                (lost if job.state is JobState.LOST else not_searched).append(job_id)
        except NoSuchJob:
            expired.add(job_id)
        except StateLost:
            lost.append(job_id)
    known = {job_id for job_id, numbers in candidates.items() if numbers is not None}.difference(not_searched, lost)
    folder = session.settings.archive.dir
    archived = _Archived([], set(), [])
    if folder is not None:
        archived = await asyncio.to_thread(_read_archives, folder, completion_id, known)
    rows += archived.rows
    missing, gone = ([each for each in ids if each not in archived.searched] for ids in (not_searched, lost))
    searched = len((candidates.keys() - expired) | archived.searched) - len(missing) - len(gone)
    unseen = await _unseen_folders(session)
    return History(completion_id, _entries(rows), searched, missing, gone, archived.unread, unseen)


class _Archived(NamedTuple):
    rows: list[Row]
    searched: set[str]
    unread: list[str]


async def _unseen_folders(session: Session) -> list[str]:
    """Return the folders in which workers archive reports, but for the one that is searched."""
    here = str(session.settings.archive.dir)
    folders = await session.ledger.archive_queue.folders()
    return [f"{each.folder} of {each.worker}" for each in folders if each.folder != here]


def _read_archives(folder: Path, completion_id: str, known: set[str]) -> _Archived:
    """Search the archived reports of all jobs but those that are known from the ledger."""
    found = _Archived([], set(), [])
    try:
        job_ids = [job_id for job_id in archived_jobs(folder) if job_id not in known]
    except OSError as error:
        return found._replace(unread=[f"{folder} ({error.strerror})"])
    for job_id in job_ids:
        try:
            rows = find_rows(folder, job_id, completion_id)
            found.rows.extend(row for row in rows if not row[0].only_reads)
            found.searched.add(job_id)
        except OSError as error:
            found.unread.append(f"{folder / job_id} ({error.strerror})")
    return found


async def _rows(ledger: Ledger, job: Job, numbers: list[int], completion_id: str) -> list[Row]:
    """Return the rows that are the completion's: those of another may share the hash of its id."""
    read = [await read_row(ledger.redis, job.spec, number) for number in numbers]
    return [(changing_job(job), row_change(job.spec, row)) for row in read if row.patch.completion_id == completion_id]


def _can_hold_rows(job: Job) -> bool:
    """Return whether a job without an index may have changed anything."""
    return job.spec.rows > 0 and job.state is not JobState.SUBMITTING


def _entries(rows: list[Row]) -> list[HistoryEntry]:
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
        "lost": found.lost,
        "unread_archives": found.unread_archives,
        "unseen_folders": found.unseen_folders,
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
        "by": name_of(job.by) or None,
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
