"""What stands in front of every endpoint: whose headers count, which names we answer to, slow and broken clients."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from config.hosts import is_our_host
from config.web import WebSettings, networks
from metrics.requests import RequestMetrics
from web.bodies import BoundedBodies
from web.callers import AccessEnded
from web.connections import FULL
from web.measured import Measured
from web.problems import refused
from web.refusals import Refusal

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip")
SEND_WITHIN_S = 60.0
"""Time that a client may take for the next part of an answer."""
RETRY_S = 5.0
"""Time after which it is worth asking a full server again."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What each answer says, unless it says something else itself."""

log = logging.getLogger(__name__)


Refuse = Callable[[Scope, Refusal], Awaitable[Response]]
"""Returns the answer to a request that is refused."""


def guarded(app: ASGIApp, settings: WebSettings, metrics: RequestMetrics, refuse: Refuse) -> ASGIApp:
    """Return the application behind everything that holds for each request."""
    trusted = settings.trusted_proxies
    inner: ASGIApp = OwnNames(BoundedBodies(app, settings), settings, refuse)
    if trusted:
        inner = ProxyHeadersMiddleware(inner, trusted_hosts=[part.strip() for part in trusted.split(",")])  # type: ignore[arg-type, assignment]
    return Answers(TrustedHeaders(Measured(RoomForRequests(inner, settings.connections), metrics), settings))


class RoomForRequests:
    """Refuses a request where the server has as many as it takes (`web.connections`)."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope.get("state", {}).get(FULL):
            what = f"{self._most:,} connections have requests under way (RELABEL_WEB__CONNECTIONS)."
            await refused("busy", what, retry_after_s=RETRY_S)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class TrustedHeaders:
    """Removes the headers by which a proxy speaks from the requests of everybody who is none."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._trusted = networks(settings.trusted_proxies) if settings.trusted_proxies else ()
        own = (settings.user_header,) if settings.user_header else ()
        self._names = frozenset(name.lower().encode() for name in (*FORWARDED, *own))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and not self._is_trusted(scope["client"]):
            kept = [(name, value) for name, value in scope["headers"] if name.lower() not in self._names]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)

    def _is_trusted(self, client: tuple[str, int] | None) -> bool:
        if client is None or not self._trusted:
            return False
        address = ipaddress.ip_address(client[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)


class OwnNames:
    """Answers requests by a name of ours only, and changes nothing for the page of another site."""

    def __init__(self, app: ASGIApp, settings: WebSettings, refuse: Refuse) -> None:
        self._app = app
        self._settings = settings
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not is_our_host(
            host, address=self._settings.address, more=self._settings.allowed_hosts
        ):
            refusal = Refusal("host_not_allowed", "the server does not answer to this name.")
        elif scope["method"] not in SAFE and not _is_own_origin(scope["scheme"], host, headers):
            refusal = Refusal("origin_not_allowed", "a page of another site sent this.")
        else:
            await self._app(scope, receive, send)
            return
        answer = await self._refuse(scope, refusal)
        await answer(scope, receive, send)


def _is_own_origin(scheme: str, host: str, headers: Headers) -> bool:
    """Return whether a page of ours, or no page at all, sends a request."""
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    origins = headers.getlist("origin")
    return all(_place(origin) == _place(f"{scheme}://{host}") for origin in origins)


def _place(origin: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(origin)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


class ClientTooSlow(Exception):
    """The client did not take the next part of its answer in time."""


class Answers:
    """Adds the headers of each answer, and leaves a client that does not take its answer, or whose answer broke off.

    `send_s` is the time that a client may take for the next part of an answer.
    """

    def __init__(self, app: ASGIApp, *, send_s: float = SEND_WITHIN_S) -> None:
        self._app = app
        self._send_s = send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def send_soon(message: Message) -> None:
            nonlocal began
            began = True
            if message["type"] == "http.response.start":
                _add(message, HEADERS.items())
            try:
                async with asyncio.timeout(self._send_s):
                    await send(message)
            except TimeoutError:
                raise ClientTooSlow from None

        try:
            await self._app(scope, receive, send_soon)
        except (ClientTooSlow, ClientDisconnect):
            log.info("A client left, or did not take its answer.")
        except AccessEnded:
            log.info("A token ended while its owner was sent an answer, which was broken off.")
        except Exception as error:  # answered with 500, or broken off: its connection is closed
            log.error("A request failed.", exc_info=error)
            if not began:
                await refused("internal", "the server failed; its log says where.")(scope, receive, send)


def _add(message: Message, headers: Iterable[tuple[str, str]]) -> None:
    own = MutableHeaders(scope=message)
    for name, value in headers:
        own.setdefault(name, value)
