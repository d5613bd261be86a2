"""Jobs that are made of another one's rows: undo, retry, apply, verify."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field

from config.canary import CanaryShare
from config.web import Scope
from ledger.job import Job
from producer.submit import Submitted
from relabel.apply import ApplyOptions, applicable_plan, prepare_apply
from relabel.derived import DerivedOptions, Prepared, prepare_retry, prepare_undo
from relabel.job_status import JobStatus
from relabel.jobs import JobSeen, see_job
from relabel.session import Session
from relabel.submit import submit
from relabel.verify import prepare_verify
from web.action_endpoints import ActionBody, PerMinute
from web.callers import CallerHere, needs
from web.documented import JOB, answers
from web.job_endpoints import JobId, job_answer
from web.refusals import Refusal

router = APIRouter(tags=["actions"])
MOST_NAMES = 1000
MADE = answers(JobStatus, "wrong_state", "state_lost", "invalid_input", "altered_plan", "busy", *JOB)
MADE[201] = MADE[200] | {"description": "The new job."}


def _canary(text: str) -> str:
    try:
        CanaryShare.parse(text)
    except ValueError:
        raise ValueError("must be a share of the rows like 1%, or a number of rows") from None
    return text


class NewReading(ActionBody):
    """The job that an action makes: its rate in requests a minute, and its name."""

    rate: PerMinute | None = None
    name: str | None = Field(None, min_length=1, max_length=255)

    @property
    def options(self) -> DerivedOptions:
        """As the use case has them."""
        return DerivedOptions(rate=self.rate, name=self.name)


class NewJob(NewReading):
    """As above; `again` makes another one of the same."""

    again: bool = False

    @property
    def options(self) -> DerivedOptions:
        """As the use case has them."""
        return super().options._replace(again=self.again)


class Undo(NewJob):
    """What to restore: these metadata keys only; with `force` also what somebody else changed since."""

    keys: list[str] | None = Field(None, min_length=1, max_length=MOST_NAMES)
    force: bool = False


class Retry(NewJob):
    """What to try again: rows that failed with these codes, or `all`; else those that may work."""

    codes: list[str] | None = Field(None, min_length=1, max_length=MOST_NAMES)
    all: bool = False


class Apply(NewReading):
    """How to apply a plan: a share of the rows first (`1%`, or a number), and nothing where more would change."""

    canary: Annotated[str, AfterValidator(_canary)] | None = Field(None, max_length=20)
    max_changes: int | None = Field(None, ge=0)

    @property
    def apply_options(self) -> ApplyOptions:
        """As the use case has them."""
        canary = None if self.canary is None else CanaryShare.parse(self.canary)
        return ApplyOptions(self.rate, self.name, canary, max_changes=self.max_changes)


@router.post("/v1/jobs/{job_id}/undo", responses=MADE, **needs(Scope.CONTROL))
async def undo_job(request: Request, caller: CallerHere, job_id: JobId, body: Undo | None = None) -> JSONResponse:
    """Restore what a job changed, as a new job; 200 with the job where the same undo was asked for before."""
    wanted = body or Undo()
    keys = None if wanted.keys is None else frozenset(wanted.keys)
    prepare = _of(lambda session: prepare_undo(session, job_id, wanted.options, keys=keys, force=wanted.force))
    return await _make(request, caller.acts_as, prepare)


@router.post("/v1/jobs/{job_id}/retry", responses=MADE, **needs(Scope.CONTROL))
async def retry_job(request: Request, caller: CallerHere, job_id: JobId, body: Retry | None = None) -> JSONResponse:
    """Try failed rows again, as a new job; 200 with the job where the same retry was asked for before."""
    wanted = body or Retry()
    if wanted.codes is not None and wanted.all:
        raise Refusal("invalid_request", "codes and all contradict each other; give either.")
    codes = None if wanted.codes is None else frozenset(wanted.codes)
    prepare = _of(lambda session: prepare_retry(session, job_id, wanted.options, codes=codes, everything=wanted.all))
    return await _make(request, caller.acts_as, prepare)


@router.post("/v1/jobs/{job_id}/verify", responses=MADE, **needs(Scope.SUBMIT))
async def verify_job(
    request: Request, caller: CallerHere, job_id: JobId, body: NewReading | None = None
) -> JSONResponse:
    """Read every row of a job again and compare it with what the job left, as a new job each time."""
    wanted = body or NewReading()
    prepare = _of(lambda session: prepare_verify(session, job_id, wanted.options))
    return await _make(request, caller.acts_as, prepare)


@router.post("/v1/jobs/{job_id}/apply", responses=MADE, **needs(Scope.SUBMIT))
async def apply_job(request: Request, caller: CallerHere, job_id: JobId, body: Apply | None = None) -> JSONResponse:
    """Make exactly the changes that a plan shows, as a new job; 200 with the job where it is applied already."""
    options = (body or Apply()).apply_options

    async def apply(session: Session) -> Submitted:
        plan = await applicable_plan(session, job_id, here=False)
        prepared = await prepare_apply(session, plan, options)
        if isinstance(prepared, Job):
            return Submitted(prepared.spec.job_id, existed=True)
        with prepared.checked:
            return await submit(session, prepared.checked, prepared.request)

    return await _make(request, caller.acts_as, apply)


def _of(prepare: Callable[[Session], Awaitable[Prepared]]) -> Callable[[Session], Awaitable[Submitted]]:
    async def make(session: Session) -> Submitted:
        prepared = await prepare(session)
        with prepared.checked:
            return await submit(session, prepared.checked, prepared.request)

    return make


async def _make(request: Request, user: str, make: Callable[[Session], Awaitable[Submitted]]) -> JSONResponse:
    """Make a job for a caller, and answer it: 201, or 200 where it was there before."""

    async def made(session: Session) -> tuple[Submitted, JobSeen]:
        submitted = await make(session)
        return submitted, await see_job(session, submitted.job_id)

    submitted, seen = await request.app.state.work.run(user, made)
    headers = {"Location": f"/v1/jobs/{submitted.job_id}"}
    return JSONResponse(job_answer(seen), 200 if submitted.existed else 201, headers)
