"""Nightly runs: a line a date, and the files of one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import Response

from relabel.nightly import latest_nights, nightly_status, run_of
from web.acting import session_of
from web.console.pages import Reader, new_router, render
from web.pages import After

router = new_router()
SHOWN = 31
"""Runs of a page."""


@router.get("/nightly")
async def show_nights(request: Request, _: Reader, *, after: After = "") -> Response:
    """List the nightly runs, the newest first, and when the next is due."""
    session = session_of(request)
    nights = await latest_nights(session, SHOWN + 1, after=after)
    return render(
        request,
        "nightly.html",
        nights=nights[:SHOWN],
        more=nights[SHOWN - 1].date if len(nights) > SHOWN else "",
        after=after,
        standing=await nightly_status(session),
    )


@router.get("/nightly/{date}")
async def show_night(request: Request, _: Reader, date: Annotated[str, Path(max_length=20)]) -> Response:
    """Show the files of a run, and their jobs."""
    return render(request, "night.html", run=await run_of(session_of(request), date), date=date)
