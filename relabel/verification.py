"""Reads what the last verification of a job found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from config.text import printable
from ledger.audit import MadeJob
from ledger.clock import utc_time
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from ledger.ledger import Ledger
from ledger.person import name_of
from relabel.wording import count_of


class Verification(NamedTuple):
    """The job that verifies another one, as it stands."""

    job: Job

    @property
    def differences(self) -> dict[str, int]:
        """Rows that do not hold what the verified job left, by cause (`worker.verifying`), the most frequent first."""
        return self.job.drifted_by

    @property
    def holding(self) -> int:
        """Rows that hold what the verified job left."""
        return self.job.counts.unchanged

    @property
    def differing(self) -> int:
        """Rows that do not."""
        return self.job.counts.drifted

    @property
    def unread(self) -> int:
        """Rows of which nobody knows, as they could not be read."""
        return self.job.counts.failed

    @property
    def holds(self) -> bool:
        """Whether all rows were read and hold what the verified job left."""
        return self.job.state is JobState.FINISHED and self.holding == self.job.counts.total


async def latest_verification(ledger: Ledger, job_id: str) -> Verification | None:
    """Return the last verification of a job that has finished, the last one of all where none has; None without one."""
    return await verification_among(ledger, await ledger.audit.made_of(job_id))


async def verification_among(ledger: Ledger, made_of: Iterable[MadeJob]) -> Verification | None:
    """Return the same of the jobs that were made of one's rows, oldest first."""
    ids = [made.job_id for made in made_of if made.kind == Kind.VERIFY]
    latest: Job | None = None
    for verify_id in reversed(ids):
        try:
            job = await ledger.jobs.get(verify_id)
        except NoSuchJob:
            continue
        latest = latest or job
        if job.state is JobState.FINISHED:
            return Verification(job)
    return Verification(latest) if latest else None


def said_of(found: Verification) -> str:
    """Return what a verification found, or that it goes on, in words."""
    job, total = found.job, found.job.counts.total
    said = f"{found.holding:,} of {count_of(total, 'row')} hold"
    if found.differing:
        causes = ", ".join(f"{printable(code)} {rows:,}" for code, rows in found.differences.items())
        said += f", {found.differing:,} differ ({causes})" if causes else f", {found.differing:,} differ"
    said += f", {found.unread:,} could not be read" if found.unread else ""
    return said if job.state is JobState.FINISHED else f"{said}; it is {job.state}"


def verification_facts(found: Verification) -> dict[str, Any]:
    """Return a verification as JSON takes it."""
    job = found.job
    return {
        "job_id": job.spec.job_id,
        "state": str(job.state),
        "by": name_of(job.spec.by) or None,
        "finished_at": None if job.finished_at is None else utc_time(job.finished_at),
        "rows": job.counts.total,
        "holds": found.holds,
        "holding": found.holding,
        "differing": found.differing,
        "unread": found.unread,
        "differences": found.differences,
    }
