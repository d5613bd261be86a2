"""Sends a notification to the webhook: signed, without following redirects, and only to permitted addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from completions.transport import Route, route_to
from config.checks import WHSEC
from config.groups import NotifySettings
from config.proxy import proxy_for
from notify.public_address import is_public

TRY_S = 10.0
"""Bound of one try, in seconds."""


class Undelivered(Exception):
    """The webhook did not take the notification; the message gives the reason, and never the URL."""


class PrivateAddress(OSError):
    """The webhook's address is not public."""


@asynccontextmanager
async def open_webhook(notify: NotifySettings) -> AsyncIterator[Webhook]:
    """Open a client for the webhook that the settings name, and close it at the end.

    Raises:
        SettingsError: the environment names a proxy or CAs that cannot be used.

    """
    allowed = notify.allow_private
    route = webhook_route(notify)
    session = aiohttp.ClientSession(
        # checks the very address that is connected to, so that a name cannot resolve to another in between
        connector=aiohttp.TCPConnector(
            ssl=route.tls, socket_factory=None if allowed else _public_socket, force_close=True
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TRY_S),
        auto_decompress=False,  # only the status is read; a body would be decompressed as it arrives
        headers=route.headers,
        proxy=route.proxy,
        trust_env=False,
    )
    try:
        yield Webhook(session, notify, route)
    finally:
        await session.close()


def webhook_route(notify: NotifySettings) -> Route:
    """Return the route to the webhook.

    Raises:
        SettingsError: the environment names a proxy or CAs that cannot be used.

    """
    url = notify.url.get_secret_value() if notify.url else ""
    # a proxy would hide the address from the check
    return route_to(url, proxy_for(url) if url and notify.allow_private else None)


class Webhook:
    """A client of the webhook that the settings name."""

    def __init__(self, session: aiohttp.ClientSession, notify: NotifySettings, route: Route) -> None:
        self._session = session
        self._tunnel_headers = route.tunnel_headers
        self._url = notify.url.get_secret_value() if notify.url else ""
        self._key = _key(notify.secret.get_secret_value()) if notify.secret else None

    async def send(self, delivery_id: str, body: bytes) -> None:
        """Send a notification once.

        Raises:
            Undelivered: the answer was not a 2xx, or there was none.

        """
        headers = {"Content-Type": "application/json", "User-Agent": "relabel"}
        headers |= _signature(self._key, delivery_id, int(time.time()), body)
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False, proxy_headers=self._tunnel_headers
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Undelivered(_why(error)) from None
        if not 200 <= status < 300:
            raise Undelivered(f"it answered {status}{', and redirects are not followed' if status // 100 == 3 else ''}")


def _signature(key: bytes | None, delivery_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks 1.0 (the specification's "Webhook metadata" and "Signature scheme")."""
    headers = {"webhook-id": delivery_id, "webhook-timestamp": str(at)}
    if key is not None:
        signed = hmac.digest(key, f"{delivery_id}.{at}.".encode() + body, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return headers


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(WHSEC))


def _public_socket(address: Any) -> socket.socket:
    family, kind, protocol, _, (host, *_) = address
    if not is_public(host):
        raise PrivateAddress
    return socket.socket(family, kind, protocol)


def _why(error: Exception) -> str:
    causes: list[BaseException | None] = [error, error.__cause__, error.__context__]
    causes += [getattr(error, "os_error", None)]
    if any(isinstance(cause, PrivateAddress) for cause in causes):
        return "its address is private, loopback or link-local, which only RELABEL_NOTIFY__ALLOW_PRIVATE=1 allows"
    if isinstance(error, aiohttp.InvalidURL):
        return "its URL cannot be used; correct RELABEL_NOTIFY__URL"
    if isinstance(error, TimeoutError):
        return f"it did not answer within {TRY_S:g} s"
    if isinstance(error, aiohttp.ClientSSLError):
        return "its TLS certificate or handshake is not acceptable"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name cannot be resolved"
    return f"the connection failed ({type(error).__name__})"
