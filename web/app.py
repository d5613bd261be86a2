"""Puts the application together: its endpoints, its errors, and what stands in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from config.settings import Settings
from ledger.connect import new_client
from ledger.ledger import Ledger
from metrics.requests import RequestMetrics
from relabel import __version__
from web import (
    action_endpoints,
    derived_endpoints,
    docs_page,
    event_endpoints,
    health_endpoints,
    job_endpoints,
    row_endpoints,
    standing_endpoints,
    submit_endpoints,
    token_endpoints,
)
from web.callers import Callers
from web.console import (
    action_page,
    completion_page,
    downloads,
    home_page,
    job_page,
    jobs_page,
    nightly_page,
    receipt_page,
    sign_in,
    submit_page,
    workers_page,
)
from web.console.pages import add_pages_of_problems, answer_refusal
from web.console.sign_in import OneTimeLink
from web.console.templating import new_environment
from web.documented import schemas
from web.health_looks import CONNECTIONS, AwaySince, HealthLooks
from web.job_feeds import JobFeeds
from web.peers import guarded
from web.problems import add_handlers
from web.readiness import Readiness
from web.work import Work

TITLE = "relabel"
REDIS_CONNECTIONS = 32
DESCRIPTION = """
Bulk metadata changes for stored chat completions: submit jobs, see them, act on them.

Each request needs `Authorization: Bearer rlb_...`, but for `/livez` and `/readyz`; `x-relabel-scope` of an operation is
the scope that the token must have. Errors are `application/problem+json` (RFC 9457) with a stable `code`.
"""
ROUTERS = (
    job_endpoints.router,
    event_endpoints.router,
    row_endpoints.router,
    submit_endpoints.router,
    action_endpoints.router,
    derived_endpoints.router,
    standing_endpoints.router,
    token_endpoints.router,
    health_endpoints.router,
    docs_page.router,
)


PAGES = (
    sign_in.router,
    home_page.router,
    jobs_page.router,
    job_page.router,
    receipt_page.router,
    downloads.router,
    action_page.router,
    submit_page.router,
    completion_page.router,
    nightly_page.router,
    workers_page.router,
)


class Api(FastAPI):
    """The endpoints, with a document that knows the results."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        document["components"].setdefault("schemas", {}).update(schemas())
        return document


def make_app(
    settings: Settings,
    *,
    stopping: asyncio.Event,
    metrics: RequestMetrics | None = None,
    link: OneTimeLink | None = None,
) -> ASGIApp:
    """Return the application. Once `stopping` is set, streams end, so that the server can; `link` signs in once."""
    metrics = metrics or RequestMetrics()
    app = Api(
        title=TITLE,
        version=__version__,
        description=DESCRIPTION,
        lifespan=partial(_hold_open, settings=settings, stopping=stopping, metrics=metrics, link=link),
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        separate_input_output_schemas=False,
    )
    add_handlers(app)
    add_pages_of_problems(app)
    for router in (*ROUTERS, *PAGES):
        app.include_router(router)
    app.mount("/static", StaticFiles(packages=[("web.console", "static")]))
    return guarded(app, settings.web, metrics, partial(answer_refusal, app))


@asynccontextmanager
async def _hold_open(
    app: FastAPI, *, settings: Settings, stopping: asyncio.Event, metrics: RequestMetrics, link: OneTimeLink | None
) -> AsyncIterator[None]:
    """Fill the state that endpoints read; close its connections to Redis at the end."""
    redis = new_client(settings.ledger_url, most=REDIS_CONNECTIONS)
    looking = new_client(settings.ledger_url, retry=False, most=CONNECTIONS)
    try:
        state = app.state
        state.settings, state.stopping, state.ledger = settings, stopping, Ledger(redis)
        state.metrics = metrics
        state.callers = Callers(settings, state.ledger, metrics)
        state.feeds = JobFeeds(settings, state.ledger)
        metrics.count_streams(lambda: state.feeds.watchers)
        state.work = Work(settings)
        state.uploads = submit_endpoints.UploadTurns()
        state.templates, state.link, state.away_since = new_environment(), link, None
        away = AwaySince()
        state.readiness = Readiness(settings, state.ledger, away)
        state.health = HealthLooks(settings, Ledger(looking), away)
        yield
    finally:
        await redis.aclose()
        await looking.aclose()


def _operation_id(route: APIRoute) -> str:
    """Return the name of an operation, from which clients are generated."""
    return route.name
