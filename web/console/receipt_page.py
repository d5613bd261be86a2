"""The receipt of a job, to be printed or saved: what was asked for, what became of it, and digests of its rows."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from relabel.jobs import job_log
from relabel.receipt import make_receipt
from web.acting import session_of
from web.console.actions import COUNTED_ROWS
from web.console.pages import Reader, new_router, render
from web.job_endpoints import JobId

router = new_router()


@router.get("/jobs/{job_id}/receipt")
async def show_receipt(request: Request, caller: Reader, job_id: JobId) -> Response:
    """Show the receipt of a job that has ended; of a large one only how to make it, as all its rows are read."""
    session = session_of(request)
    job = await session.ledger.jobs.get(job_id)
    receipt: dict[str, Any] | None = None
    if job.spec.rows <= COUNTED_ROWS:
        receipt = await request.app.state.work.run(caller.acts_as, lambda session: make_receipt(session, job_id))
    log = await job_log(session, job_id)
    return render(request, "receipt.html", job=job, spec=job.spec, receipt=receipt, log=log)
