"""What all pages have in common: who looks at them, their headers, and how they say what went wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment
from starlette.types import Scope as RequestScope

from config.text import printable
from config.web import Scope
from ledger.connect import AWAY
from relabel import __version__
from web.callers import Caller, Callers
from web.console.templating import commands
from web.problems import answer_of, refused
from web.refusals import Refusal

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # with none at all, browsers send no `Origin` with a form of ours
    "Content-Type": "text/html; charset=utf-8",
}
AGAIN_S = 5
"""Time after which a page that could not be made loads again by itself."""
_NO_ACCESS = 401

log = logging.getLogger(__name__)


class PageRoute(APIRoute):
    """A page, which says what went wrong as a page, with the words of the HTTP API."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                page = await handle(request)
            except Exception as error:
                facts, headers = await _problem_of(request, error)
                if facts["code"] == "internal":
                    log.error("A page failed.", exc_info=error)
                return _page_of(request, facts, headers)
            if hasattr(request.state, "caller"):  # others see pages for which nothing is read
                request.app.state.away_since = None
            return page

        return answer


async def _problem_of(request: Request, error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Return an error as the HTTP API has it, and the headers of that answer."""
    answer = await answer_of(request, error)
    if answer is None:
        answer = refused("internal", "the server failed; its log says where.")
    return json.loads(bytes(answer.body)), dict(answer.headers)


async def problem_facts(request: Request, error: Exception) -> dict[str, Any]:
    """Return an error with its status, code, sentence and next step, as the HTTP API has it."""
    return (await _problem_of(request, error))[0]


def new_router() -> APIRouter:
    """Return a router for pages, which are not part of the API."""
    return APIRouter(include_in_schema=False, route_class=PageRoute)


async def _signed_in(request: Request) -> Caller:
    """Return who looks at a page; only those who are signed in may."""
    callers: Callers = request.app.state.callers
    caller = await callers.on_page(request)
    if caller is None:
        raise Refusal("unauthorized", "nobody is signed in.")
    request.state.caller = caller
    callers.count(caller.acts_as)
    return caller


Reader = Annotated[Caller, Depends(_signed_in)]


def render(request: Request, template: str, *, status: int = 200, headers: Any = None, **values: Any) -> HTMLResponse:
    """Return a page."""
    environment: Environment = request.app.state.templates
    caller = getattr(request.state, "caller", None)
    page = environment.get_template(template).render(
        viewer=caller,  # `caller` is a word of Jinja
        form_check=form_check(caller) if caller else "",
        path=request.url.path,
        query=request.url.query,
        now=time.time(),
        version=__version__,
        Scope=Scope,
        commands=commands,
        **values,
    )
    return HTMLResponse(page, status, HEADERS | (headers or {}))


def form_check(caller: Caller) -> str:
    """Return what each form of a caller carries: no page of another site knows it."""
    return hashlib.sha256(f"form\0{caller.session or caller.acts_as}".encode()).hexdigest()[:32]


def add_pages_of_problems(app: FastAPI) -> None:
    """Let a browser that asks for what is not there have a page, and programs the problem of the HTTP API."""
    for status in (404, 405):
        app.add_exception_handler(status, _not_there)


async def _not_there(request: Request, error: Exception) -> Response:
    if _wants_page(request):
        with contextlib.suppress(*AWAY):
            request.state.caller = await request.app.state.callers.on_page(request)
    return await _answer(request, error)


async def answer_refusal(app: FastAPI, scope: RequestScope, refusal: Refusal) -> Response:
    """Return the answer to a request that is refused before the application sees it, as it would have answered."""
    return await _answer(Request({**scope, "app": app, "state": {}}), refusal)


async def _answer(request: Request, error: Exception) -> Response:
    facts, headers = await _problem_of(request, error)
    if _wants_page(request):
        return _page_of(request, facts, headers)
    return JSONResponse(facts, facts["status"], headers, media_type="application/problem+json")


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


def _page_of(request: Request, problem: dict[str, Any], headers: dict[str, str]) -> Response:
    """Return the page of a problem; who is not signed in is sent to do so."""
    status = problem["status"]
    if status == _NO_ACCESS:
        return _to_sign_in(request)
    since = None
    if problem["code"] == "redis_unreachable":
        since = request.app.state.away_since = request.app.state.away_since or time.time()
        headers["Refresh"] = str(AGAIN_S)
    kept = {name: value for name, value in headers.items() if name.lower() in {"refresh", "retry-after"}}
    kept |= {"Cache-Control": "no-store"}
    return render(request, "problem.html", status=status, headers=kept, problem=problem, since=since, again_s=AGAIN_S)


def _to_sign_in(request: Request) -> Response:
    """Send a browser to the sign-in page; first once more here, where it came from another site.

    It keeps its cookie from a link of another site (SameSite=Strict), but not from a page of ours.
    """
    if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        return render(request, "once_more.html")
    here = f"{request.url.path}?{request.url.query}".rstrip("?") if request.method == "GET" else "/"
    return RedirectResponse(f"/sign-in?{urlencode({'next': printable(here, 1000)})}", 303)
