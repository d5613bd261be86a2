"""A job that was kept as long as jobs are, unlike one that never was; and where its report still is."""

from __future__ import annotations

import time

from config.text import printable
from ledger.job_id import submitted_at
from ledger.job_search import submission_of
from relabel.errors import JobExpired
from relabel.session import Session
from report.archive import archive_of

DAY_S = 86_400.0
SHOWN_CHARS = 80


async def expired(session: Session, job_id: str) -> JobExpired | None:
    """Return the error of a job that has expired; None where no job can have had this id."""
    folder, days = session.settings.archive.dir, session.settings.job.keep_days
    archive = None if folder is None else archive_of(folder, job_id)
    at = submitted_at(job_id)
    is_old = at is not None and time.time() - at > days * DAY_S
    if not (archive or is_old or await submission_of(session.ledger.redis, job_id)):
        return None
    what = f"job {printable(job_id, SHOWN_CHARS)} is kept no more: jobs are kept for {days:g} days after their end"
    if archive:
        return JobExpired(f"{what}; its archived report is {archive.name} in RELABEL_ARCHIVE__DIR of the server.")
    if folder is not None:
        return JobExpired(f"{what}; RELABEL_ARCHIVE__DIR of the server has no report of it.")
    return JobExpired(f"{what}; ask whoever runs the workers whether they archive reports (RELABEL_ARCHIVE__DIR).")
