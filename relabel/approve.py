"""Approves a job that somebody else submitted. To refuse it is to cancel it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from config.errors import RelabelError
from config.text import printable
from ledger.approval import Approval, ApproveAnswer
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.person import identity_of, person_of
from relabel.errors import NotAnApprover, OtherDigest, OwnJob, WrongState
from relabel.session import Session
from relabel.worker_state import read_idle

SHOWN_CHARS = 80


class Approved(NamedTuple):
    """A job that is approved, and why no worker takes rows, if so. `is_new`: nobody had approved it before."""

    job: Job
    idle: str
    is_new: bool


Confirm = Callable[[Job, Approval], Awaitable[None]]
"""Shows what is about to be approved, and asks; raises Declined where the answer is no."""


async def approve(
    session: Session, job_id: str, *, digest: str | None = None, confirm: Confirm | None = None
) -> Approved:
    """Approve a job once it is confirmed; one that is approved stays as it is.

    `digest` is what the caller has looked at, by the job's `approval_digest`; else it is what the job has.

    Raises:
        NoSuchJob: there is no such job.
        NotAnApprover: nobody vouches for the name of who asks.
        OwnJob: who asks has submitted it.
        OtherDigest: the job does something else than what was looked at.
        WrongState: it needs no approval, or does not wait for it any more.
        Declined: the answer was no.

    """
    job = await session.ledger.jobs.get(job_id)
    approval = require_approvable(session, job, digest)
    if confirm and approval.is_missing:
        await confirm(job, approval)
    answer = await session.ledger.approvals.approve(job_id, approval.digest, by=session.user)
    job = await session.ledger.jobs.get(job_id)
    if refusal := _refusal(answer, job):
        raise refusal
    return Approved(job, await read_idle(session.ledger), answer is ApproveAnswer.APPROVED)


def require_approvable(session: Session, job: Job, digest: str | None = None) -> Approval:
    """Return what of a job can be approved by whoever asks; raises otherwise as `approve` does."""
    if not (session.verified or session.settings.approval.allow_local):
        raise NotAnApprover(
            f"{printable(person_of(session.user), SHOWN_CHARS)} is a name that nobody vouches for, so it approves "
            "nothing; approve the job by a token with the scope approve, in the console or over HTTP, or set "
            "RELABEL_APPROVAL__ALLOW_LOCAL=true."
        )
    approval = job.approval
    if approval is None:
        raise _not_needed(job)
    answer = _foreseen(job, approval, digest, by=session.user)
    if refusal := _refusal(answer, job):
        raise refusal
    return approval


def is_submitter(job: Job, who: str) -> bool:
    """Return whether this is the person who may not approve the job."""
    return job.approval is not None and job.approval.submitter == identity_of(who)


def _foreseen(job: Job, approval: Approval, digest: str | None, *, by: str) -> ApproveAnswer:
    """Return what the ledger would answer (`lua/approve.lua`), before anybody is asked."""
    if digest not in {None, approval.digest}:
        return ApproveAnswer.OTHER_DIGEST
    if is_submitter(job, by):
        return ApproveAnswer.OWN_JOB
    if not approval.is_missing:
        return ApproveAnswer.ALREADY
    return ApproveAnswer.APPROVED if job.state is JobState.HELD else ApproveAnswer.WRONG_STATE


def _refusal(answer: ApproveAnswer, job: Job) -> RelabelError | None:
    """Return the error of an approval that did not come about."""
    job_id = job.spec.job_id
    if answer is ApproveAnswer.GONE:
        return NoSuchJob(job_id)
    if answer is ApproveAnswer.NOT_NEEDED:
        return _not_needed(job)
    if answer is ApproveAnswer.OWN_JOB:
        who = printable(person_of(job.spec.by), SHOWN_CHARS)
        return OwnJob(f"{who} has submitted job {job_id}, so that somebody else has to approve it.")
    if answer is ApproveAnswer.OTHER_DIGEST:
        has = job.approval.digest if job.approval else "none"
        return OtherDigest(f"job {job_id} has the digest {has}, so nothing was approved; look at what it does.")
    if answer is ApproveAnswer.WRONG_STATE:
        return WrongState(f"job {job_id} is {job.state}; only a job that is held can be approved.")
    return None


def _not_needed(job: Job) -> WrongState:
    return WrongState(f"job {job.spec.job_id} needs no approval; it is {job.state}.")
