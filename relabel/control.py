"""Pauses, resumes and cancels jobs. Each change and its entry in the job's audit log are one step of the ledger."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ledger.job import Job, JobState
from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.person import in_parentheses
from ledger.row import Outcome
from producer.submit import Submitted
from relabel.errors import InvalidInput, WrongState
from relabel.session import Session
from relabel.worker_state import read_idle

PAUSED_CODE = "paused"
"""The reason code of a job that a person paused."""
INTERRUPTED_CODE = "interrupted"
"""The reason code of a paused job whose process tree ended before it."""
CLOSE_WITHIN_S = 15.0
"""How long to wait for workers to stop working on a cancelled job: a lease ends after 8 s (`ledger.shards.LEASE_S`)."""
CLOSE_EVERY_S = 0.2


async def pause(session: Session, job_id: str, *, reason: str = "") -> JobState:
    """Pause a running job and return the state that it had; one that is paused already stays as it is.

    One for which workers still read the list pauses, too.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: the job neither runs nor is paused.

    """
    text = f"{reason} ({in_parentheses(session.user)})" if reason else f"by {session.user}"
    had = await session.ledger.jobs.pause(job_id, by=session.user, code=PAUSED_CODE, reason=text, why=reason)
    if had not in {JobState.RUNNING, JobState.PAUSED} and not await _was_read(session.ledger, job_id, had):
        raise WrongState(f"job {job_id} is {had}; only a running job can be paused.")
    return had


async def _was_read(ledger: Ledger, job_id: str, had: JobState) -> bool:
    """Return whether a job that was `submitting` is so no more: the list was read for it, and that could be ended."""
    return had is JobState.SUBMITTING and (await ledger.jobs.get(job_id)).state is not JobState.SUBMITTING


class Resumed(NamedTuple):
    """A job that was asked to go on: the state that it had, how it stands now, and why no worker takes rows, if so."""

    had: JobState
    job: Job
    idle: str


async def resume(session: Session, job_id: str) -> Resumed:
    """Let workers run a paused or held job; one that runs already stays as it is, as does one that needs approval.

    Raises:
        NoSuchJob: there is no such job.
        NeedsApproval: the job is held for nothing but its approval.
        WrongState: the job is neither paused, held nor running.

    """
    had = await session.ledger.jobs.resume(job_id, by=session.user)
    if had not in {JobState.RUNNING, JobState.PAUSED, JobState.HELD}:
        raise WrongState(f"job {job_id} is {had}; only a paused or held job can be resumed.")
    return Resumed(had, await session.ledger.jobs.get(job_id), await read_idle(session.ledger))


async def resume_here(session: Session, job_id: str) -> JobState:
    """Resume a job to work on it in this process tree; return the state that it had, which may be an end.

    Raises:
        NoSuchJob: there is no such job.
        InvalidInput: the job is for another API than the settings name, so its worker would only pause it again.

    """
    job = await session.ledger.jobs.get(job_id)
    target, here = job.spec.target, session.settings.openai_base_url
    if not job.state.ended and target != here:
        raise InvalidInput(
            f"job {job_id} is for {target}, and OPENAI_BASE_URL is {here}; set it to the former. "
            f"A job keeps its URL: if that is the wrong one, `relabel cancel {job_id}` and submit the rows again."
        )
    return await session.ledger.jobs.resume(job_id, by=session.user)


async def resume_interrupted(session: Session, submitted: Submitted) -> None:
    """Resume a job found again that was only interrupted; one that somebody paused or held is left to them."""
    job = await session.ledger.jobs.get(submitted.job_id)
    if submitted.existed and job.state is JobState.PAUSED and job.reason_code == INTERRUPTED_CODE:
        await session.ledger.jobs.resume(submitted.job_id, by=session.user)


async def pause_interrupted(session: Session, job_id: str, what: str) -> None:
    """Pause a job whose process tree ends before it; `what` happened."""
    reason = f"{what}; go on with `relabel run --resume {job_id}`"
    await session.ledger.jobs.pause(job_id, by=session.user, code=INTERRUPTED_CODE, reason=reason, why=what)


async def pause_orphans(session: Session) -> None:
    """Pause the jobs of earlier process trees that were killed: those from before this one started the server.

    Later ones belong to commands that came meanwhile and use the same server.
    """
    if session.server is None or session.server.started_at is None:
        return
    for job_id in await session.ledger.jobs.active():
        if (await session.ledger.jobs.get(job_id)).submitted_at < session.server.started_at:
            await pause_interrupted(session, job_id, "its `relabel run` ended in mid-job")


class Cancelled(NamedTuple):
    """A cancelled job, and whether all its rows have ended; else workers end the last of them."""

    job: Job
    closed: bool


async def cancel(session: Session, job_id: str, *, reason: str = "") -> Cancelled:
    """End a job before its rows are done: those that are done stay so, the others end as cancelled.

    Waits up to 15 s for the workers to leave it.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: the job has ended, or is still being stored.

    """
    ledger = session.ledger
    had = await ledger.jobs.cancel(job_id, by=session.user, reason=reason)
    may = {JobState.RUNNING, JobState.PAUSED, JobState.HELD}
    if had not in may and not await _was_read(ledger, job_id, had):
        raise WrongState(f"job {job_id} is {had}; there is nothing to cancel.")
    closed = await _close(ledger, (await ledger.jobs.get(job_id)).spec)
    return Cancelled(await ledger.jobs.get(job_id), closed)


async def _close(ledger: Ledger, spec: JobSpec) -> bool:
    """End the open rows as cancelled; return whether workers left the job in time."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            while not await ledger.shards.close_all(spec, Outcome.CANCELLED):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(CLOSE_EVERY_S)
    except TimeoutError:
        return False
    await ledger.jobs.retire(spec.job_id)
    return True
