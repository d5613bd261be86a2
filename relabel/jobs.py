"""Lists the latest jobs, and reads who changed one."""

from __future__ import annotations

from ledger.audit import AuditLine
from ledger.job import Job
from relabel.session import Session


async def latest_jobs(session: Session, number: int) -> list[Job]:
    """Return so many jobs at most, the newest first."""
    return await session.ledger.jobs.latest(number)


async def job_log(session: Session, job_id: str) -> list[AuditLine]:
    """Return who changed the job, when and why, the oldest change first.

    Raises:
        NoSuchJob: there is no such job.

    """
    await session.ledger.jobs.get(job_id)
    return await session.ledger.audit.read(job_id)
