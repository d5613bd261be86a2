"""Nightly runs: a line a date, and the files of one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import Response

from nightly.state import FileState
from relabel.nightly import due_at, latest_nights, nightly_status, run_of, schedule_in_force
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
    schedule = await schedule_in_force(session)
    now = await session.ledger.jobs.now()
    return render(
        request,
        "nightly.html",
        nights=[(night, due_at(night, schedule)) for night in nights[:SHOWN]],
        more=nights[SHOWN - 1].date if len(nights) > SHOWN else "",
        after=after,
        standing=await nightly_status(session),
        due=next(schedule.after(now), None) if schedule else None,
    )


@router.get("/nightly/{date}")
async def show_night(
    request: Request, _: Reader, date: Annotated[str, Path(max_length=20)], *, state: FileState | None = None
) -> Response:
    """Show the files of a run, all or those in a state, and their jobs; those to look at first."""
    session = session_of(request)
    run = await run_of(session, date)
    files = [] if run is None else [(file, True) for file in run.to_look_at] + [(file, False) for file in run.well]
    states = [] if run is None else [(each, len(run.night.of(each))) for each in FileState if run.night.of(each)]
    return render(
        request,
        "night.html",
        run=run,
        date=date,
        files=[(file, needs_look) for file, needs_look in files if state in {None, file.state}],
        states=states,
        state=state,
        due=None if run is None else due_at(run.night, await schedule_in_force(session)),
    )
