"""Jobs: the list, one, its log."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal, get_args

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse

from config.moment import parse_moment
from config.web import Scope
from ledger.job import JobState
from relabel.job_status import JobStatus, LogEntry
from relabel.jobs import JobFilter, JobSeen, job_log, page_of_jobs, see_job, seen_facts
from relabel.receipt import make_receipt
from relabel.receipt_result import ReceiptResult
from web.callers import CallerHere, SessionHere, needs
from web.documented import JOB, answers, lists
from web.pages import After, Limit, page
from web.refusals import Refusal

router = APIRouter(tags=["jobs"])
JobId = Annotated[str, Path(min_length=1, max_length=64, description="The whole id of a job.")]
StateWord = Literal["submitting", "held", "running", "paused", "finished", "cancelled", "lost"]
STATE_WORDS: tuple[StateWord, ...] = get_args(StateWord)
_STATES = {state.value.removeprefix("state "): state for state in JobState}


def job_answer(seen: JobSeen) -> dict[str, Any]:
    """Return a job as JSON takes it: as `status --json` does."""
    return {"object": "job"} | seen_facts(seen)


async def job_filter(
    *,
    state: Annotated[list[StateWord] | None, Query(description="In one of these states.")] = None,
    since: Annotated[str, Query(max_length=40, description="Submitted since: 2026-11-27T18:00Z, or 12h, 3d ago.")] = "",
    by: Annotated[str, Query(max_length=200, description="Submitted by: a person, or user@host.")] = "",
    name: Annotated[str, Query(max_length=255, description="With this text in the name.")] = "",
    key: Annotated[str, Query(max_length=200, description="That may change this metadata key.")] = "",
) -> JobFilter:
    """Return which jobs a list is to have."""
    return JobFilter(frozenset(_STATES[word] for word in state or ()), _moment(since), by, name, key)


Wanted = Annotated[JobFilter, Depends(job_filter)]


@router.get("/v1/jobs", responses=lists(JobStatus, "invalid_input"), **needs(Scope.READ))
async def list_jobs(session: SessionHere, wanted: Wanted, *, limit: Limit = 20, after: After = "") -> JSONResponse:
    """List jobs, newest first.

    A page with a filter may be short, even empty, although more follow: go on while `has_more`.
    """
    found = await page_of_jobs(session, limit, wanted, after=after)
    return page([job_answer(seen) for seen in found.jobs], key="job_id", has_more=found.has_more, last=found.last)


@router.get("/v1/jobs/{job_id}", responses=answers(JobStatus, *JOB), **needs(Scope.READ))
async def get_job(session: SessionHere, job_id: JobId) -> JSONResponse:
    """Return a job: its state with the reason, its rows, what it waits for."""
    return JSONResponse(job_answer(await see_job(session, job_id)))


@router.get("/v1/jobs/{job_id}/log", responses=lists(LogEntry, *JOB), **needs(Scope.READ))
async def get_job_log(session: SessionHere, job_id: JobId, *, limit: Limit = 20, after: After = "") -> JSONResponse:
    """List who did what to a job, when and why, the oldest first. The latest 1,000 entries are kept."""
    entries: list[dict[str, Any]] = []
    for line in await job_log(session, job_id):
        same = sum(each["at"] == line.at for each in entries[-20:])  # entries of one step have the same time
        entries.append({"object": "log_entry", "id": f"{line.at:.6f}-{same}"} | msgspec.to_builtins(line))
    first = next((place + 1 for place, each in enumerate(entries) if each["id"] == after), 0)
    return page(entries[first : first + limit], has_more=len(entries) > first + limit)


@router.get(
    "/v1/jobs/{job_id}/receipt",
    responses=answers(ReceiptResult, "wrong_state", "state_lost", "invalid_input", "busy", *JOB),
    **needs(Scope.READ),
)
async def get_receipt(request: Request, caller: CallerHere, job_id: JobId) -> JSONResponse:
    """Return the receipt of a job that has ended: its counts, its digests, what its latest verification found."""
    receipt = await request.app.state.work.run(caller.acts_as, lambda session: make_receipt(session, job_id))
    return JSONResponse({"object": "receipt"} | receipt)


def _moment(text: str) -> float:
    try:
        return parse_moment(text, now=time.time()) if text else 0.0
    except ValueError as error:
        raise Refusal("invalid_request", f"{error}.") from None
