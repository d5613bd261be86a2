"""Carries httpx requests over an aiohttp session, whose pool and parser cost a tenth of httpx's own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import NamedTuple

import aiohttp
import httpx
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from completions.errors import NotSent, Refusal, Retryable, StopJob
from completions.response_body import ACCEPT_ENCODING, MAX_BODY_BYTES, read_body
from config.proxy import Proxy
from config.trust import trusted_cas

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""Errors from before the request left: the API cannot have changed anything."""


@asynccontextmanager
async def open_transport(
    route: Route, headers: Mapping[str, str], *, in_flight: int, bounds: aiohttp.ClientTimeout
) -> AsyncIterator[AiohttpTransport]:
    """Open a transport for up to `in_flight` requests at once, and close it at the end.

    `headers` go with every request, besides its own. Neither environment nor `~/.netrc` is read.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=in_flight, ssl=route.tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=bounds,
        auto_decompress=False,  # aiohttp and httpx decompress without a bound
        proxy=route.proxy,
        trust_env=False,
    )
    # aiohttp would send a GET again by itself when a kept connection ends: past the rate limit, and uncounted
    session._retry_connection = False
    async with session:
        yield AiohttpTransport(
            session, {**headers, **route.headers, "Accept-Encoding": ACCEPT_ENCODING}, route.tunnel_headers
        )


class Route(NamedTuple):
    """How a session reaches a URL: the CAs that certificates are checked by, the proxy, and its credentials."""

    tls: ssl.SSLContext | bool = True
    proxy: str | None = None
    tunnel_headers: dict[str, str] | None = None
    headers: Mapping[str, str] = MappingProxyType({})


def route_to(url: str, proxy: Proxy | None) -> Route:
    """Return the route to a URL. CAs take 0.1 s to load, so only where the URL or the proxy uses TLS.

    Raises:
        SettingsError: the CAs that the environment names cannot be used.

    """
    tunnels = url.lower().startswith("https:")
    if proxy is None:
        return Route(trusted_cas() if tunnels else True)
    tls = trusted_cas() if tunnels or proxy.url.startswith("https:") else True
    if proxy.user is None:
        return Route(tls, proxy.url)
    credentials = {"Proxy-Authorization": aiohttp.encode_basic_auth(proxy.user, proxy.password)}
    return Route(tls, proxy.url, credentials) if tunnels else Route(tls, proxy.url, None, credentials)


class FencedBody(aiohttp.BytesPayload):
    """A body that may still be held back, together with its headers, which leave with its first bytes."""

    def __init__(self, content: bytes, may_leave: Callable[[], bool] | None) -> None:
        super().__init__(content)
        self._may_leave = may_leave
        self.held_back = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the body.

        Raises:
            NotSent: `may_leave` returned false.

        """
        if self._may_leave is not None and not self._may_leave():
            self.held_back = True
            raise NotSent
        await super().write_with_length(writer, content_length)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One request at a time over the session: no redirects, no cookies, no line in the log that names a completion.

    The extension `target` of a request replaces its URL's path and query, as with httpx itself. It has to be
    percent-encoded: parsing a URL anew for each request was a tenth of its cost. The extension `may_leave` is called
    once the connection is open and only the sending is left; `most_bytes` bounds the body of the answer.
    """

    def __init__(
        self, session: aiohttp.ClientSession, headers: Mapping[str, str], tunnel_headers: dict[str, str] | None
    ) -> None:
        self._session = session
        self._headers = headers  # not the session's: those go to a proxy in clear, with the request for a tunnel
        self._tunnel_headers = tunnel_headers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer; reading it raises httpx.DecodingError where its body is unusable.

        Raises:
            aiohttp.ClientError: the request or its answer was lost.
            OSError: the same; TimeoutError past the session's timeout.
            NotSent: the extension `may_leave` returned false, and nothing was sent.

        """
        url = request.url
        target = request.extensions.get("target", url.raw_path)
        content = FencedBody(request.read(), request.extensions.get("may_leave"))
        try:
            async with self._session.request(
                request.method,
                URL(f"{url.scheme}://{url.netloc.decode()}{target.decode()}", encoded=True),
                headers={**self._headers, **{name.decode(): value.decode() for name, value in request.headers.raw}},
                data=content if content.size else None,
                proxy_headers=self._tunnel_headers,
                allow_redirects=False,
            ) as answer:
                stream = await _stream_of(answer, request.extensions.get("most_bytes", MAX_BODY_BYTES))
        except aiohttp.ClientError as error:
            if content.held_back:
                raise NotSent from error
            raise
        headers = answer.raw_headers
        if "Content-Encoding" in answer.headers:
            headers = tuple(pair for pair in headers if pair[0].lower() != b"content-encoding")
        return httpx.Response(answer.status, headers=headers, stream=stream)


async def _stream_of(answer: aiohttp.ClientResponse, most_bytes: int) -> httpx.SyncByteStream:
    try:
        return httpx.ByteStream(await read_body(answer, most_bytes))
    except httpx.DecodingError as error:
        return UnusableBody(error)


class UnusableBody(httpx.SyncByteStream):
    """The body of an answer of which only status and headers can be used."""

    def __init__(self, error: httpx.DecodingError) -> None:
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        raise self._error


def refusal_of(error: aiohttp.ClientError | OSError, *, writes: bool) -> Refusal:
    """Return the refusal for an error of the transport: TLS pauses the job, the rest is retried."""
    if isinstance(error, aiohttp.ClientSSLError):
        return StopJob("tls", f"{_tls_problem(error)}; correct it, or the trust store of this machine")
    if isinstance(error, aiohttp.ClientHttpProxyError) and 400 <= error.status < 500:
        reason = "the proxy refuses the connection to the API; correct HTTPS_PROXY, or add the API's host to NO_PROXY"
        return StopJob("proxy", reason, status=error.status)
    ambiguous = writes and not isinstance(error, NEVER_SENT)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Retryable("dns", "the API's host name cannot be resolved")
    if isinstance(error, TimeoutError):
        return Retryable("timeout", "the API did not answer in time", ambiguous=ambiguous)
    return Retryable("network", f"the connection to the API failed ({type(error).__name__})", ambiguous=ambiguous)


def _tls_problem(error: aiohttp.ClientSSLError) -> str:
    """Return why the handshake failed: for a certificate with its reason, such as its date, host or signer."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "")
        return f"the API's TLS certificate is not acceptable{why and f' ({why})'}"
    return "the API's TLS handshake is not acceptable"
