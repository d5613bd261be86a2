"""The shared rate and the nightly runs, as they stand."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from config.web import Scope
from relabel.nightly import latest_runs
from relabel.nightly_run import run_facts
from relabel.rate import RateResult, rate_facts, read_rate
from relabel.results import NightlyRunResult
from web.callers import SessionHere, needs
from web.documented import answers, lists
from web.pages import After, Limit, page

router = APIRouter(tags=["rate and nightly runs"])


@router.get("/v1/rate", responses=answers(RateResult), **needs(Scope.READ))
async def get_rate(session: SessionHere) -> JSONResponse:
    """Return the shared rate: by the settings, set live, in force, and why it is lower."""
    seen = await read_rate(session.settings, session.ledger)
    return JSONResponse({"object": "rate"} | rate_facts(seen))


@router.get("/v1/nightly/runs", responses=lists(NightlyRunResult), **needs(Scope.READ))
async def list_nightly_runs(session: SessionHere, *, limit: Limit = 20, after: After = "") -> JSONResponse:
    """List the nightly runs, newest first, each with its files and their jobs; `after` is a date."""
    runs = await latest_runs(session, limit + 1, after=after)
    data = [{"object": "nightly_run"} | run_facts(run) for run in runs[:limit]]
    return page(data, key="date", has_more=len(runs) > limit)
