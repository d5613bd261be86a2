"""Jobs: the list, with what each does and waits for."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from relabel.jobs import ANY_JOB, count_active, page_of_jobs
from web.acting import session_of
from web.console.pages import Reader, new_router, render
from web.job_endpoints import STATE_WORDS, Wanted
from web.pages import After

router = new_router()
SHOWN = 25
"""Jobs of a page."""


@router.get("/jobs")
async def show_jobs(request: Request, _: Reader, wanted: Wanted, *, after: After = "") -> Response:
    """List the jobs, newest first, all or those that are asked for."""
    session = session_of(request)
    found = await page_of_jobs(session, SHOWN, wanted, after=after)
    return render(
        request,
        "jobs.html",
        found=found,
        filtered=wanted != ANY_JOB,
        asked=dict(request.query_params),
        asked_states=request.query_params.getlist("state"),
        states=STATE_WORDS,
        active=await count_active(session),
        after=after,
        shared_rate=session.settings.rate.per_minute,
        next_query=_query(request, found.last) if found.has_more else "",
        first_query=_query(request, "") if after else "",
    )


def _query(request: Request, after: str) -> str:
    """Return the query of another page of the same list."""
    return str(
        request.url.include_query_params(after=after).query if after else request.url.remove_query_params("after").query
    )
