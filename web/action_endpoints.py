"""Changes of a job's state, pause, resume, cancel, and of the rate."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from config.web import Scope
from ledger.job import JobState
from relabel.approve import approve
from relabel.control import cancel, pause, resume
from relabel.errors import WrongState
from relabel.job_status import JobStatus
from relabel.jobs import see_job
from relabel.rate import (
    JobRate,
    RateResult,
    job_rate_facts,
    rate_facts,
    reset_shared_rate,
    set_job_rate,
    set_shared_rate,
)
from relabel.session import Session
from web.callers import SessionHere, needs
from web.documented import JOB, answers
from web.job_endpoints import JobId, job_answer
from web.refusals import Refusal

router = APIRouter(tags=["actions"])
PerMinute = Annotated[float, Field(gt=0, lt=1e9)]


class ActionBody(BaseModel):
    """A body of an action, which may be left out."""

    model_config = ConfigDict(extra="forbid")


class WithReason(ActionBody):
    """Why, for the job's log."""

    reason: str = Field("", max_length=1000)


class Rate(ActionBody):
    """The rate in requests a minute, the requests that may go at once, or both; of one job where it is named.

    `reset` lets the settings count again; of a job, the shared rate alone.
    """

    per_minute: PerMinute | None = None
    burst: int | None = Field(None, ge=1, le=100_000)
    reset: bool = False
    job_id: str | None = Field(None, min_length=1, max_length=64)


class Approval(ActionBody):
    """What was looked at: the job's `approval_digest`. Without it, what the job has counts."""

    digest: str | None = Field(None, min_length=1, max_length=128)


CHANGED = answers(JobStatus, "wrong_state", *JOB)


@router.post("/v1/jobs/{job_id}/pause", responses=CHANGED, **needs(Scope.CONTROL))
async def pause_job(session: SessionHere, job_id: JobId, body: WithReason | None = None) -> JSONResponse:
    """Pause a running job; one that is paused stays so. No row starts after 2 seconds, rows in flight end."""
    await pause(session, job_id, reason=body.reason if body else "")
    return await _job(session, job_id)


@router.post(
    "/v1/jobs/{job_id}/resume",
    responses=answers(JobStatus, "wrong_state", "needs_approval", *JOB),
    **needs(Scope.CONTROL),
)
async def resume_job(session: SessionHere, job_id: JobId) -> JSONResponse:
    """Continue a paused or held job; one that runs stays so, and one that needs approval stays held."""
    await resume(session, job_id)
    return await _job(session, job_id)


@router.post(
    "/v1/jobs/{job_id}/approve",
    responses=answers(JobStatus, "wrong_state", "own_job", "other_digest", *JOB),
    **needs(Scope.APPROVE),
)
async def approve_job(session: SessionHere, job_id: JobId, body: Approval | None = None) -> JSONResponse:
    """Approve a job that somebody else submitted; one that is approved stays so. To refuse it, cancel it."""
    await approve(session, job_id, digest=body.digest if body else None)
    return await _job(session, job_id)


@router.post("/v1/jobs/{job_id}/cancel", responses=CHANGED, **needs(Scope.CONTROL))
async def cancel_job(session: SessionHere, job_id: JobId, body: WithReason | None = None) -> JSONResponse:
    """End a job before its rows are done; one that is cancelled stays so. Waits up to 15 s for rows in flight."""
    try:
        await cancel(session, job_id, reason=body.reason if body else "")
    except WrongState:
        if (await session.ledger.jobs.get(job_id)).state is not JobState.CANCELLED:
            raise
    return await _job(session, job_id)


@router.put(
    "/v1/rate",
    responses=answers(RateResult | JobRate, "wrong_state", "invalid_input", *JOB),
    **needs(Scope.CONTROL),
)
async def put_rate(session: SessionHere, body: Annotated[Rate, Body()]) -> JSONResponse:
    """Set the shared rate, for all workers and until it is reset; or with `job_id` that of one job (`JobRate`)."""
    if body.reset == (body.per_minute is not None or body.burst is not None):
        raise Refusal("invalid_request", "give a rate or a burst, or reset.")
    if body.job_id is None:
        if body.reset:
            seen = await reset_shared_rate(session)
        else:
            seen = await set_shared_rate(session, rate_per_minute=body.per_minute, burst=body.burst)
        return JSONResponse({"object": "rate"} | rate_facts(seen))
    if body.burst is not None:
        raise Refusal("invalid_request", "burst belongs to the shared rate; a job has none of its own.")
    job = await set_job_rate(session, body.job_id, body.per_minute)
    return JSONResponse({"object": "job_rate"} | job_rate_facts(job))


async def _job(session: Session, job_id: str) -> JSONResponse:
    return JSONResponse(job_answer(await see_job(session, job_id)))
