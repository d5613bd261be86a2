"""What can be done with a job: pause, resume, cancel, retry, undo; and the rate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from config.web import Scope
from ledger.job import JobState
from producer.submit import Submitted
from relabel.control import cancel, pause, resume
from relabel.derived import DerivedOptions, Prepared, prepare_retry, prepare_undo
from relabel.errors import WrongState
from relabel.jobs import JobSeen, see_job
from relabel.rate import job_rate_facts, reset_shared_rate, set_job_rate, set_shared_rate
from relabel.results import JobRate, JobStatus, RateResult
from relabel.session import Session
from relabel.submit import submit
from web.callers import CallerHere, SessionHere, needs
from web.documented import JOB, answers
from web.job_endpoints import JobId, job_answer
from web.refusals import Refusal

router = APIRouter(tags=["actions"])
PerMinute = Annotated[float, Field(gt=0, lt=1e9)]
MOST_NAMES = 1000


class ActionBody(BaseModel):
    """A body of an action, which may be left out."""

    model_config = ConfigDict(extra="forbid")


class WithReason(ActionBody):
    """Why, for the job's log."""

    reason: str = Field("", max_length=1000)


class NewJob(ActionBody):
    """The job that an action makes: its rate in requests a minute, its name; `again` makes another one of the same."""

    rate: PerMinute | None = None
    name: str | None = Field(None, min_length=1, max_length=255)
    again: bool = False

    @property
    def options(self) -> DerivedOptions:
        """As the use case has them."""
        return DerivedOptions(rate=self.rate, name=self.name, again=self.again)


class Undo(NewJob):
    """What to restore: these metadata keys only; with `force` also what somebody else changed since."""

    keys: list[str] | None = Field(None, min_length=1, max_length=MOST_NAMES)
    force: bool = False


class Retry(NewJob):
    """What to try again: rows that failed with these codes, or `all`; else those that may work."""

    codes: list[str] | None = Field(None, min_length=1, max_length=MOST_NAMES)
    all: bool = False


class Rate(ActionBody):
    """The rate in requests a minute, the requests that may go at once, or both; of one job where it is named.

    `reset` lets the settings count again; of a job, the shared rate alone.
    """

    per_minute: PerMinute | None = None
    burst: int | None = Field(None, ge=1, le=100_000)
    reset: bool = False
    job_id: str | None = Field(None, min_length=1, max_length=64)


CHANGED = answers(JobStatus, "wrong_state", *JOB)
MADE = answers(JobStatus, "wrong_state", "invalid_input", "busy", *JOB)
MADE[201] = MADE[200] | {"description": "The new job."}


@router.post("/v1/jobs/{job_id}/pause", responses=CHANGED, **needs(Scope.CONTROL))
async def pause_job(session: SessionHere, job_id: JobId, body: WithReason | None = None) -> JSONResponse:
    """Pause a running job; one that is paused stays so. No row starts after 2 seconds, rows in flight end."""
    await pause(session, job_id, reason=body.reason if body else "")
    return await _job(session, job_id)


@router.post("/v1/jobs/{job_id}/resume", responses=CHANGED, **needs(Scope.CONTROL))
async def resume_job(session: SessionHere, job_id: JobId) -> JSONResponse:
    """Continue a paused or held job; one that runs stays so."""
    await resume(session, job_id)
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


@router.post("/v1/jobs/{job_id}/undo", responses=MADE, **needs(Scope.CONTROL))
async def undo_job(request: Request, caller: CallerHere, job_id: JobId, body: Undo | None = None) -> JSONResponse:
    """Restore what a job changed, as a new job; 200 with the job where the same undo was asked for before."""
    wanted = body or Undo()
    keys = None if wanted.keys is None else frozenset(wanted.keys)
    return await _make(
        request,
        caller.acts_as,
        lambda session: prepare_undo(session, job_id, wanted.options, keys=keys, force=wanted.force),
    )


@router.post("/v1/jobs/{job_id}/retry", responses=MADE, **needs(Scope.CONTROL))
async def retry_job(request: Request, caller: CallerHere, job_id: JobId, body: Retry | None = None) -> JSONResponse:
    """Try failed rows again, as a new job; 200 with the job where the same retry was asked for before."""
    wanted = body or Retry()
    if wanted.codes is not None and wanted.all:
        raise Refusal("invalid_request", "codes and all contradict each other; give either.")
    codes = None if wanted.codes is None else frozenset(wanted.codes)
    return await _make(
        request,
        caller.acts_as,
        lambda session: prepare_retry(session, job_id, wanted.options, codes=codes, everything=wanted.all),
    )


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
        return JSONResponse({"object": "rate"} | seen._asdict())
    if body.burst is not None:
        raise Refusal("invalid_request", "burst belongs to the shared rate; a job has none of its own.")
    job = await set_job_rate(session, body.job_id, body.per_minute)
    return JSONResponse({"object": "job_rate"} | job_rate_facts(job))


async def _job(session: Session, job_id: str) -> JSONResponse:
    return JSONResponse(job_answer(await see_job(session, job_id)))


async def _make(request: Request, user: str, prepare: Callable[[Session], Awaitable[Prepared]]) -> JSONResponse:
    async def make(session: Session) -> tuple[Submitted, JobSeen]:
        prepared = await prepare(session)
        with prepared.checked:
            submitted = await submit(session, prepared.checked, prepared.request)
        return submitted, await see_job(session, submitted.job_id)

    return made_answer(*await request.app.state.work.run(user, make))


def made_answer(submitted: Submitted, seen: JobSeen) -> JSONResponse:
    """Return a job that was made, or the one that was there before with the same content."""
    headers = {"Location": f"/v1/jobs/{submitted.job_id}"}
    content: dict[str, Any] = job_answer(seen)
    return JSONResponse(content, 200 if submitted.existed else 201, headers)
