"""Who calls: the owner of a token, or the person that a trusted proxy names; and how often they may."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from config.checks import is_person_name
from config.settings import Settings
from config.web import Scope, parse_scopes
from ledger.ledger import Ledger
from metrics.requests import RequestMetrics
from relabel.session import Session
from web.acting import session_of
from web.refusals import Refusal

SESSION_COOKIE = "relabel_session"
SAFE = frozenset({"GET", "HEAD"})
"""Methods for which a browser's session counts: whatever changes something needs a token, or a form of ours."""
REMEMBERED = 10_000
"""Callers whose requests are counted at the same time."""
BURST_S = 10.0
"""Seconds' worth of requests that a caller may send at once."""
_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token of `relabel token create`.")


class Caller(NamedTuple):
    """Somebody who calls: the name for logs, and what they may do.

    `token` is the text that they sent, `session` the secret of a browser that is signed in; '' for others.
    """

    acts_as: str
    scopes: frozenset[Scope]
    token: str = ""
    session: str = ""

    def permits(self, scope: Scope) -> bool:
        """Return whether the caller may do what needs this scope."""
        return scope is Scope.READ or scope in self.scopes


class Callers:
    """Finds out who calls, and bounds how often each may."""

    def __init__(self, settings: Settings, ledger: Ledger, metrics: RequestMetrics) -> None:
        web = settings.web
        self._ledger = ledger
        self._metrics = metrics
        self._user_header = web.user_header
        self._proxy_scopes = parse_scopes(web.proxy_scopes)
        self._rate = web.requests_per_minute / 60
        self._free_at: OrderedDict[str, float] = OrderedDict()

    async def identify(self, request: Request, token: str | None) -> Caller:
        """Return who calls; of requests that change nothing, a browser's session counts, too.

        Raises:
            Refusal: nobody is named, the token is not valid, or the caller sends too many requests.
            RedisError: the ledger is away.

        """
        if token is not None:
            caller = await self.by_token(token)
        else:
            caller = await self.on_page(request) if request.method in SAFE else self._by_proxy(request)
        if caller is None and token is not None:
            self._metrics.rejected_sign_in("token")
        if caller is None:
            what = "no token was sent" if token is None else "the token is not valid: it expired, or was revoked"
            raise Refusal("unauthorized", f"{what}; `relabel token create` makes one.")
        self.count(caller.acts_as)
        return caller

    async def by_token(self, token: str) -> Caller | None:
        """Return who has a token; None where it is not valid."""
        found = await self._ledger.tokens.find(token)
        return None if found is None else Caller(found.acts_as, frozenset(found.scopes), token)

    async def by_session(self, session: str) -> Caller | None:
        """Return who is signed in with a session; None where it has ended, or its token has."""
        found = await self._ledger.browser_sessions.find(session) if session else None
        return None if found is None else Caller(found.acts_as, frozenset(found.scopes), session=session)

    async def still_valid(self, caller: Caller) -> bool:
        """Return whether the caller may still read: a token may be revoked while its stream is open."""
        if caller.session:
            return await self.by_session(caller.session) is not None
        return not caller.token or await self.by_token(caller.token) is not None

    async def on_page(self, request: Request) -> Caller | None:
        """Return who looks at a page: the person whom a proxy names, or whoever is signed in; None where nobody is."""
        return self._by_proxy(request) or await self.by_session(request.cookies.get(SESSION_COOKIE, ""))

    def _by_proxy(self, request: Request) -> Caller | None:
        """Return the person whom a trusted proxy names; from others the header never comes this far (`web.peers`)."""
        name = request.headers.get(self._user_header, "") if self._user_header else ""
        return Caller(name, self._proxy_scopes) if is_person_name(name) else None

    def count(self, name: str) -> None:
        """Raise Refusal where the caller is ahead of the rate by more than the burst (GCRA)."""
        now = time.monotonic()
        free_at = max(self._free_at.pop(name, now), now) + 1 / self._rate
        ahead = free_at - now - max(BURST_S, 1 / self._rate)
        self._free_at[name] = free_at - (1 / self._rate if ahead > 0 else 0)
        if len(self._free_at) > REMEMBERED:
            self._free_at.popitem(last=False)
        if ahead > 0:
            raise Refusal(
                "too_many_requests",
                f"{self._rate * 60:,.0f} requests a minute are allowed (RELABEL_WEB__REQUESTS_PER_MINUTE).",
                retry_after_s=ahead,
            )


def needs(scope: Scope) -> dict[str, Any]:
    """Return the options of an endpoint that only callers with this scope may use."""

    async def require(request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        caller = await request.app.state.callers.identify(request, None if sent is None else sent.credentials)
        if not caller.permits(scope):
            raise Refusal("missing_scope", f"this needs the scope {scope}, which the token has not.", scope=str(scope))
        request.state.caller = caller

    return {"dependencies": [Depends(require)], "openapi_extra": {"x-relabel-scope": str(scope)}}


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CallerHere = Annotated[Caller, Depends(_caller)]
SessionHere = Annotated[Session, Depends(session_of)]
