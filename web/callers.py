"""Who calls: the owner of a token, or the person that a trusted proxy names; and how often they may."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from config.checks import is_person_name
from config.settings import Settings
from config.web import Scope, parse_scopes
from ledger.connect import AWAY
from ledger.ledger import Ledger
from metrics.requests import RequestMetrics
from relabel.session import Session
from web.acting import session_of
from web.refusals import Refusal

SESSION_COOKIE = "relabel_session"
TLS_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"
"""The cookie over TLS: by its prefix browsers take it from this host alone, so no other one of the same domain sets
it to a session of its own. Source: RFC 6265bis, section 4.1.3.2."""
SAFE = frozenset({"GET", "HEAD"})
"""Methods for which a browser's session counts: whatever changes something needs a token, or a form of ours."""
REMEMBERED = 10_000
"""Callers whose requests are counted at the same time."""
LOOK_EVERY_S = 1.0
WATCH_EVERY_S = 2.0
"""Time after which a stream looks again at whether its caller may still read."""
BURST_S = 10.0
"""Seconds' worth of requests that a caller may send at once."""
SIGN_IN_S = 0.25
"""Seconds' worth of requests that a sign-in counts as: each leaves a session in Redis for 12 hours."""
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


class AccessEnded(Exception):
    """The token of a caller ended, or was revoked, while what they asked for was sent: it is broken off."""


class _Look(NamedTuple):
    at: float
    task: asyncio.Task[bool]


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
        self._looks: OrderedDict[str, _Look] = OrderedDict()

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
            raise _not_valid(
                "no token was sent" if token is None else "the token is not valid: it expired, or was revoked"
            )
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

    async def require_valid(self, caller: Caller) -> None:
        """Raise Refusal where a token ended, or was revoked, while what its owner sent came in."""
        if not await self.still_valid(caller):
            raise _not_valid("the token is not valid any more: it expired, or was revoked")

    async def still_valid(self, caller: Caller) -> bool:
        """Return whether the caller may still read: a token may be revoked while its streams are open.

        One look a second serves all of them.
        """
        now, sent = time.monotonic(), caller.session or caller.token
        look = self._looks.get(sent)
        if look is None or look.at + LOOK_EVERY_S < now:
            look = self._looks[sent] = _Look(now, asyncio.create_task(self._is_valid(caller)))
            self._looks.move_to_end(sent)
            if len(self._looks) > REMEMBERED:
                self._looks.popitem(last=False)
        return await asyncio.shield(look.task)

    async def _is_valid(self, caller: Caller) -> bool:
        if caller.session:
            return await self.by_session(caller.session) is not None
        return not caller.token or await self.by_token(caller.token) is not None

    async def on_page(self, request: Request) -> Caller | None:
        """Return who looks at a page: the person whom a proxy names, or whoever is signed in; None where nobody is."""
        return self._by_proxy(request) or await self.by_session(request.cookies.get(session_cookie(request), ""))

    def _by_proxy(self, request: Request) -> Caller | None:
        """Return the person whom a trusted proxy names; from others the header never comes this far (`web.peers`).

        Where there are two names, the proxy has added its own to one that the client sent, and names nobody.
        """
        names = request.headers.getlist(self._user_header) if self._user_header else []
        return Caller(names[0], self._proxy_scopes) if len(names) == 1 and is_person_name(names[0]) else None

    def count(self, name: str, *, least_s: float = 0.0) -> None:
        """Raise Refusal where the caller is ahead of the rate by more than the burst (GCRA).

        A request counts as `least_s` seconds' worth of requests at least.
        """
        now, takes_s = time.monotonic(), max(least_s, 1 / self._rate)
        free_at = max(self._free_at.pop(name, now), now) + takes_s
        ahead = free_at - now - max(BURST_S, takes_s)
        self._free_at[name] = free_at - (takes_s if ahead > 0 else 0)
        if len(self._free_at) > REMEMBERED:
            self._free_at.popitem(last=False)
        if ahead > 0:
            raise Refusal(
                "too_many_requests",
                f"{self._rate * 60:,.0f} requests a minute are allowed (RELABEL_WEB__REQUESTS_PER_MINUTE).",
                retry_after_s=ahead,
            )


class Watch:
    """Whether a caller may still read, looked at every so many seconds while something is sent to them."""

    def __init__(self, callers: Callers, caller: Caller, *, every_s: float = WATCH_EVERY_S) -> None:
        self._callers = callers
        self._caller = caller
        self._every_s = every_s
        self.due = time.monotonic() + every_s

    async def may_read(self) -> bool:
        """Return whether the token is still valid; while Redis is away, nobody knows better."""
        if time.monotonic() < self.due:
            return True
        self.due = time.monotonic() + self._every_s
        try:
            return await self._callers.still_valid(self._caller)
        except AWAY:
            return True

    async def pieces(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the pieces of an answer.

        Raises:
            AccessEnded: the caller may read no more of them.

        """
        async for piece in pieces:
            if not await self.may_read():
                raise AccessEnded
            yield piece


def session_cookie(request: Request) -> str:
    """Return the name of the cookie that holds a browser's session."""
    return TLS_SESSION_COOKIE if request.url.scheme == "https" else SESSION_COOKIE


def _not_valid(what: str) -> Refusal:
    return Refusal("unauthorized", f"{what}; `relabel token create` makes one.")


def needs(scope: Scope) -> dict[str, Any]:
    """Return the options of an endpoint that only callers with this scope may use."""

    async def require(request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        caller = await request.app.state.callers.identify(request, None if sent is None else sent.credentials)
        if not caller.permits(scope):
            raise Refusal("missing_scope", f"this needs the scope {scope}, which the token has not.", scope=str(scope))
        request.state.caller = caller

    return {"dependencies": [Depends(require)], "openapi_extra": {"x-relabel-scope": str(scope)}}


# asynchronous, as FastAPI has threads call any others
async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _session(request: Request) -> Session:
    return session_of(request)


CallerHere = Annotated[Caller, Depends(_caller)]
SessionHere = Annotated[Session, Depends(_session)]
