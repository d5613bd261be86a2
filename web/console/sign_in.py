"""Signing in, by a token or by the link that `serve` prints, and out."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Annotated

from fastapi import Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from config.web import Scope
from ledger.browser_sessions import LIFE_S
from relabel.session import Session, local_user
from relabel.tokens import DAY_S, create_token
from web.callers import SIGN_IN_S, Callers, session_cookie
from web.console.forms import FormCheck
from web.console.pages import Reader, new_router, render

router = new_router()
LINK_LIFE_S = 300.0
_LINK_PATH = "/sign-in/link"


class OneTimeLink:
    """A link that signs in whoever started the server: once, and within so many seconds."""

    def __init__(self, life_s: float = LINK_LIFE_S) -> None:
        self._key = secrets.token_urlsafe(32)
        self._until = time.monotonic() + life_s

    @property
    def path(self) -> str:
        """The path of the link, with its key."""
        return f"{_LINK_PATH}?key={self._key}"

    def use(self, key: str) -> bool:
        """Return whether the key is that of the link, which is used up by it."""
        fits = (
            bool(self._key) and time.monotonic() < self._until and hmac.compare_digest(key.encode(), self._key.encode())
        )
        if fits:
            self._key = ""
        return fits


@router.get("/sign-in")
async def show_sign_in(request: Request, next: Annotated[str, Query(max_length=1000)] = "/") -> Response:  # noqa: A002
    """Ask for a token."""
    if await request.app.state.callers.on_page(request):
        return RedirectResponse(_own_path(next), 303)
    return render(request, "sign_in.html", next=next, wrong="")


@router.post("/sign-in")
async def sign_in(
    request: Request,
    token: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=1000)] = "/",  # noqa: A002
) -> Response:
    """Begin a session for whoever has the token."""
    token = token.strip()
    callers: Callers = request.app.state.callers
    caller = await callers.by_token(token)
    if caller is None:
        request.app.state.metrics.rejected_sign_in("form")
        wrong = "This token is not valid: it expired, was revoked, or is not complete."
        return render(request, "sign_in.html", status=403, next=next, wrong=wrong)
    callers.count(caller.acts_as, least_s=SIGN_IN_S)
    return await _signed_in(request, token, _own_path(next))


@router.get(_LINK_PATH)
async def sign_in_by_link(request: Request, key: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Begin a session for whoever started the server: it has access to Redis, and could make any token.

    Nobody vouches for their name, so that they approve only where command lines may.
    """
    link: OneTimeLink | None = request.app.state.link
    if link is None or not link.use(key):
        request.app.state.metrics.rejected_sign_in("link")
        wrong = "This link was used before, or is older than 5 minutes. Sign in with a token."
        return render(request, "sign_in.html", status=403, next="/", wrong=wrong)
    settings = request.app.state.settings
    session = Session(request.app.state.ledger, settings, local_user(settings))
    scopes = set(Scope) if settings.approval.allow_local else set(Scope) - {Scope.APPROVE}
    name = f"link-{secrets.token_hex(4)}"
    made = await create_token(session, name, scopes, days=LIFE_S / DAY_S)
    return await _signed_in(request, made.text, "/")


@router.post("/sign-out")
async def sign_out(request: Request, caller: Reader, _: FormCheck) -> Response:
    """End the session."""
    if caller.session:
        await request.app.state.ledger.browser_sessions.end(caller.session)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(session_cookie(request), httponly=True, samesite="strict", secure=_is_over_tls(request))
    return answer


async def _signed_in(request: Request, token: str, path: str) -> Response:
    secret = await request.app.state.ledger.browser_sessions.begin(token)
    answer = RedirectResponse(path, 303)
    tls = _is_over_tls(request)
    answer.set_cookie(session_cookie(request), secret, max_age=LIFE_S, httponly=True, samesite="strict", secure=tls)
    return answer


def _is_over_tls(request: Request) -> bool:
    return request.url.scheme == "https"


def _own_path(text: str) -> str:
    """Return where to go after signing in: a page of ours."""
    is_ours = text.startswith("/") and text[1:2] not in {"/", "\\"} and text.isprintable()
    return text if is_ours else "/"
