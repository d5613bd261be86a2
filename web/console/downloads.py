"""The files of a job for a browser: what goes wrong is a page, and who is not signed in gets to sign in."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request
from fastapi.responses import Response

from web.acting import session_of
from web.console.pages import Reader, new_router
from web.job_endpoints import JobId, get_receipt
from web.row_endpoints import Outcomes, get_report

router = new_router()


@router.get("/jobs/{job_id}/report")
async def download_report(
    request: Request,
    caller: Reader,
    job_id: JobId,
    *,
    outcome: Outcomes = "",
    format: Annotated[Literal["csv", "jsonl"] | None, Query()] = None,  # noqa: A002 - as the option is called
    pace: bool = False,
) -> Response:
    """Send the report of a job, as the HTTP API does."""
    return await get_report(request, session_of(request), caller, job_id, outcome=outcome, format=format, pace=pace)


@router.get("/jobs/{job_id}/receipt.json")
async def download_receipt(request: Request, caller: Reader, job_id: JobId) -> Response:
    """Send the receipt of a job as a file; of a large one it takes a while, as all its rows are read."""
    answer = await get_receipt(request, caller, job_id)
    answer.headers["Content-Disposition"] = f'attachment; filename="receipt-{job_id}.json"'
    return answer
