"""Workers, the shared rate, and the health of the deployment."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from relabel.rate import read_rate
from relabel.worker_list import list_workers
from web.acting import session_of
from web.console.pages import Reader, new_router, render

router = new_router()


@router.get("/workers")
async def show_workers(request: Request, _: Reader) -> Response:
    """Show the living workers, what differs among them, the rate that they share, and what each check found."""
    session = session_of(request)
    return render(
        request,
        "workers.html",
        found=await list_workers(session),
        rate=await read_rate(session.settings, session.ledger),
        checks=await request.app.state.health.found(),
    )
