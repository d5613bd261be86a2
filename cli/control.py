"""Puts jobs down and takes them up again, each change with a line in the job's log."""

from __future__ import annotations

from ledger.job import JobState
from ledger.ledger import Ledger
from relabel.session import current_user

INTERRUPTED_CODE = "interrupted"
"""Why a job is paused whose `relabel run` ended before it."""


async def resume(ledger: Ledger, job_id: str) -> JobState:
    """Let the workers take the job up; give the state that it had.

    Raises:
        NoSuchJob: there is no such job.

    """
    had = await ledger.jobs.resume(job_id)
    if had in {JobState.PAUSED, JobState.HELD}:
        await ledger.audit.note(job_id, who=current_user(), verb="resume")
    return had


async def pause(ledger: Ledger, job_id: str, *, code: str, reason: str, why: str) -> JobState:
    """Let the workers put the job down; `why` is for its log. Give the state that it had.

    Raises:
        NoSuchJob: there is no such job.

    """
    had = await ledger.jobs.pause(job_id, code=code, reason=reason)
    if had is JobState.RUNNING:
        await ledger.audit.note(job_id, who=current_user(), verb="pause", why=why)
    return had


async def pause_interrupted(ledger: Ledger, job_id: str, what: str) -> None:
    """Put down a job that its `relabel run` left; `what` happened."""
    reason = f"{what}; go on with `relabel run --resume {job_id}`"
    await pause(ledger, job_id, code=INTERRUPTED_CODE, reason=reason, why=what)
