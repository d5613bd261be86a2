"""`/livez`, `/readyz` and `/v1/health`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from config.web import Scope
from ledger.clock import utc_time
from relabel.health import health_answer
from relabel.results import HealthResult
from web.callers import SessionHere, needs
from web.documented import Alive, Answers, answers, problems_of
from web.problems import refused

router = APIRouter(tags=["health"])
_ALIVE: Answers = {200: answers(Alive)[200]}


@router.get("/livez", responses=_ALIVE)
async def livez() -> JSONResponse:
    """Return 200 while the server runs. Needs no token."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", responses=_ALIVE | problems_of("not_ready", token=False))
async def readyz(request: Request) -> JSONResponse:
    """Return 200 while Redis and the broker answer. Needs no token."""
    if request.app.state.stopping.is_set():
        return refused("not_ready", "the server is ending.")
    if await request.app.state.readiness.trouble():
        return refused("not_ready", "Redis or the broker does not answer; GET /v1/health says more.", retry_after_s=5)
    return JSONResponse({"status": "ok"})


@router.get("/v1/health", responses=answers(HealthResult), **needs(Scope.READ))
async def health(request: Request, session: SessionHere) -> JSONResponse:
    """Check the deployment, as `relabel health` does; of the API, what workers found last, and when."""
    found = await request.app.state.health.found()
    return JSONResponse(health_answer(found, utc_time(await session.ledger.jobs.now())))
