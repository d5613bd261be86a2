"""Carries httpx requests over aiohttp's connections, whose pool and parser cost a fraction of httpx's own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import NamedTuple

import aiohttp
import httpx
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EofStream
from yarl import URL

from completions.deadlines import Deadlines
from completions.errors import NotSent, Refusal, Retryable, StopJob
from completions.response_body import ACCEPT_ENCODING, MAX_BODY_BYTES, read_body
from config.proxy import Proxy
from config.trust import trusted_cas

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""Errors from before the request left: the API cannot have changed anything."""
INFORMATIONAL = {*range(100, 200)} - {101}
"""Statuses after which another answer follows (RFC 9110, section 15.2)."""


@asynccontextmanager
async def open_transport(
    route: Route, url: str, headers: Mapping[str, str], *, in_flight: int, total_s: float, connect_s: float
) -> AsyncIterator[AiohttpTransport]:
    """Open a transport to the host of this URL for up to `in_flight` requests at once, and close it at the end.

    `headers` go with every request, besides its own. A request may take `total_s` seconds, of which `connect_s` to
    connect to an address. Neither environment nor `~/.netrc` is read.
    """
    bounds = aiohttp.ClientTimeout(connect=total_s, sock_connect=connect_s)
    connector = aiohttp.TCPConnector(limit=in_flight, ssl=route.tls)
    deadlines = Deadlines(total_s)
    all_headers = {**headers, **route.headers, "Accept-Encoding": ACCEPT_ENCODING}
    try:
        yield AiohttpTransport(connector, route, URL(url), all_headers, bounds=bounds, deadlines=deadlines)
    finally:
        deadlines.close()
        await connector.close()


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


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Requests to one host, one at a time over each connection: no redirects, no cookies, no log line that names an id.

    The connections are aiohttp's, and so is the parser of what comes over them; a request is written to one as it is,
    in one piece. Only the path and query of a request's URL count. Its extension `target` replaces them, as with httpx
    itself, and has to be percent-encoded. The extension `may_leave` is called once the connection is open and only the
    sending is left; `most_bytes` bounds the body of the answer.
    """

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        route: Route,
        url: URL,
        headers: Mapping[str, str],
        *,
        bounds: aiohttp.ClientTimeout,
        deadlines: Deadlines,
    ) -> None:
        self._connector = connector
        self._bounds = bounds
        self._deadlines = deadlines
        is_forwarded = route.proxy is not None and url.scheme == "http"
        self._origin = str(url.origin()).encode() if is_forwarded else b""
        host = url.host_port_subcomponent or ""
        # aiohttp adds the host where it asks a proxy for a tunnel; a connection's key has to show it from the start
        tunnel_headers = route.tunnel_headers and {**route.tunnel_headers, "Host": host}
        self._endpoint = aiohttp.ClientRequest(
            "GET", url, proxy=URL(route.proxy) if route.proxy else None, proxy_headers=tunnel_headers
        )
        self._headers = _lines((name.encode(), value.encode()) for name, value in {"Host": host, **headers}.items())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer; reading it raises httpx.DecodingError where its body is unusable.

        Raises:
            aiohttp.ClientError: the request or its answer was lost.
            OSError: the same; TimeoutError past the transport's timeout.
            NotSent: the extension `may_leave` returned false, and nothing was sent.

        """
        began = asyncio.get_running_loop().time()
        written = self._written(request)
        connection = await self._connect()
        may_leave = request.extensions.get("may_leave")
        if may_leave is not None and not may_leave():
            connection.release()
            raise NotSent
        try:
            most = request.extensions.get("most_bytes", MAX_BODY_BYTES)
            answer = await self._exchange(connection, written, began, most)
        except (HttpProcessingError, EofStream) as error:
            connection.close()
            raise aiohttp.ClientPayloadError from error
        except BaseException:
            connection.close()
            raise
        connection.release()  # which closes it, unless all of the answer was read and the server keeps it open
        return answer

    async def _connect(self) -> Connection:
        try:
            return await self._connector.connect(self._endpoint, traces=[], timeout=self._bounds)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error

    async def _exchange(self, connection: Connection, written: bytes, began: float, most_bytes: int) -> httpx.Response:
        """Write the request and return the answer to it; nothing is waited for before it is written."""
        protocol, stream = connection.protocol, connection.transport
        if protocol is None or stream is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        with self._deadlines.watch(stream, since=began):
            stream.write(written)
            message, payload = await protocol.read()
            while message.code in INFORMATIONAL:
                message, payload = await protocol.read()
            try:
                content = await read_body(payload, message.headers.get("Content-Encoding", ""), most_bytes)
            except httpx.DecodingError as error:
                return httpx.Response(message.code, headers=message.raw_headers, stream=UnusableBody(error))
        headers = message.raw_headers
        if "Content-Encoding" in message.headers:
            headers = tuple(pair for pair in headers if pair[0].lower() != b"content-encoding")
        return httpx.Response(message.code, headers=headers, stream=httpx.ByteStream(content))

    def _written(self, request: httpx.Request) -> bytes:
        """Return the request as it goes over the wire."""
        target = request.extensions.get("target", request.url.raw_path)
        body = _body_of(request)
        own = _lines(request.headers.raw)
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        line = b"%s %s%s HTTP/1.1\r\n" % (request.method.encode(), self._origin, target)
        return b"".join((line, self._headers, own, length, b"\r\n", body))


def _body_of(request: httpx.Request) -> bytes:
    """Return the body, which is at hand; `request.read()` costs as much as to build the request."""
    if not isinstance(request.stream, httpx.SyncByteStream):
        raise TypeError("only a body that is at hand can be sent")
    return b"".join(request.stream)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as lines.

    Raises:
        ValueError: one holds the end of a line, and would add headers or a request of its own.

    """
    lines = [b"%s: %s" % pair for pair in headers]
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines):
        raise ValueError("a header holds the end of a line")
    return b"".join(line + b"\r\n" for line in lines)


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
