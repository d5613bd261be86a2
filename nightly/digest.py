"""The one notification of a nightly run: of what needs attention, and of its end."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.clock import utc_time
from ledger.job import Counts, Job
from nightly.state import FileState, Night, NightFile
from notify.outbox import HeldFile, NightFacts, Notice, RejectedFile
from notify.payload import night_notice

MOST_FILES = 10
"""Held and rejected files, each, that a notification names."""


def night_digest(night: Night, jobs: Iterable[Job], now: float) -> Notice:
    """Return the notification of a run of which each file is filed away or held.

    `jobs` are those that it made, `now` is in seconds since the epoch.
    """
    held, rejected = night.of(FileState.HELD), night.of(FileState.REJECTED)
    facts = NightFacts(
        timestamp=utc_time(now),
        date=night.date,
        files=night.files,
        jobs=night.jobs,
        rejected=night.rejected,
        held_files=len(held),
        held=[HeldFile(file.name, file.job_id or "", file.reason) for file in held[:MOST_FILES]],
        rejected_files=[RejectedFile(file.name, file.job_id, _reason(file)) for file in rejected[:MOST_FILES]],
        rows=_sum(job.counts for job in jobs),
        started_at=utc_time(night.started_at),
        finished_at=None if held else utc_time(now),
    )
    return night_notice(facts, now)


def _reason(file: NightFile) -> str:
    """Return why a file was rejected; what a check found may quote the file, which must not leave the machine."""
    if file.job_id is None or not file.reason:
        return f"it cannot be read, or has no valid row: rejected/{file.name}.reason.txt says which"
    return file.reason


def _sum(counts: Iterable[Counts]) -> Counts:
    each = list(counts)
    return Counts(**{name: sum(getattr(one, name) for one in each) for name in Counts.__struct_fields__})
