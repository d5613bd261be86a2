"""The calls that relabel makes: read a completion's metadata, update it, and see that there is an API (contract 1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport

from ledger.row import Metadata
from worker.classify import classify
from worker.errors import Again, Refusal, StopJob, Wait
from worker.ratelimit_headers import Hearing

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""Failures from before the request left: nothing can have been changed."""


class Target(NamedTuple):
    """The API to call and how. Times are seconds; `secret` is the key.

    `proxied` lets HTTP_PROXY, HTTPS_PROXY and NO_PROXY count as they do for other tools.
    """

    base_url: str
    secret: str
    auth: str = "bearer"
    version: str | None = None
    organization: str | None = None
    project: str | None = None
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    proxied: bool = False

    def __repr__(self) -> str:
        """Name the endpoint, and never the key."""
        return f"Target({self.base_url!r})"

    def headers(self) -> dict[str, str]:
        """Make the headers that every request carries (contract section 2)."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "relabel"}
        if self.auth == "bearer":
            headers["Authorization"] = f"Bearer {self.secret}"
        else:
            headers["api-key"] = self.secret
        if self.organization:
            headers["OpenAI-Organization"] = self.organization
        if self.project:
            headers["OpenAI-Project"] = self.project
        return headers


class Completion(msgspec.Struct, frozen=True):
    """What relabel reads of a stored completion; objects in the wild break the schema (contract section 1)."""

    id: str
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET


class Reply(NamedTuple):
    """The metadata that an answer shows, and the server's id of the request."""

    metadata: Metadata
    request_id: str


@asynccontextmanager
async def open_api(target: Target, *, in_flight: int) -> AsyncIterator[CompletionsApi]:
    """Open a client with room for so many requests at once, and close it at the end."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=in_flight, ssl=httpx.create_ssl_context()),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=target.proxied,  # costs two thread hops a request, so only where the environment names a proxy
    )
    # aiohttp sends a GET a second time by itself when a kept connection ends: past the rate, and uncounted
    session._retry_connection = False
    transport = AiohttpTransport(client=session)
    try:
        yield CompletionsApi(transport, target)
    finally:
        await transport.aclose()


class CompletionsApi:
    """Reads and updates stored completions, one request at a time; it neither retries nor waits."""

    def __init__(self, transport: httpx.AsyncBaseTransport, target: Target) -> None:
        # the transport is called directly: no redirects, cookies or INFO line with the URL (and so the id)
        self._transport = transport
        self._target = target
        self._headers = httpx.Headers(target.headers())
        self._query = f"?api-version={quote(target.version, safe='')}" if target.version else ""
        self._timeouts = {"connect": target.connect_timeout_s, "read": target.timeout_s}
        self._decode = msgspec.json.Decoder(Completion).decode
        self.hearing = Hearing()

    async def read(self, completion_id: str, *, request_name: str) -> Reply:
        """Give the completion's metadata.

        Raises:
            Refusal: one of its kinds, which says what to do.

        """
        return await self._call("GET", completion_id, b"", request_name)

    async def update(
        self, completion_id: str, metadata: Mapping[str, str | None] | None, *, request_name: str
    ) -> Reply:
        """Send the metadata and give what the service says it is now, which need not be the same.

        Raises:
            Refusal: one of its kinds, which says what to do.

        """
        return await self._call("POST", completion_id, msgspec.json.encode({"metadata": metadata}), request_name)

    async def knock(self, *, request_name: str) -> None:
        """Ask for a list of one, the cheapest request there is.

        Raises:
            Refusal: one of its kinds; its status is 0 where nobody answered.

        """
        query = f"{self._query}&limit=1" if self._query else "?limit=1"
        await self._exchange("GET", query, b"", request_name)

    async def _call(self, method: str, completion_id: str, body: bytes, request_name: str) -> Reply:
        path = f"/{quote(completion_id, safe='')}{self._query}"
        content, request_id = await self._exchange(method, path, body, request_name)
        return self._reply(completion_id, content, request_id, writes=method == "POST")

    async def _exchange(self, method: str, path: str, body: bytes, request_name: str) -> tuple[bytes, str]:
        url = f"{self._target.base_url}/chat/completions{path}"
        headers = self._headers.copy()
        headers["X-Client-Request-Id"] = request_name
        request = httpx.Request(
            method, url, headers=headers, content=body or None, extensions={"timeout": self._timeouts}
        )
        writes = method == "POST"
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._target.timeout_s):
                response = await self._transport.handle_async_request(request)
                try:
                    content = await response.aread()
                except httpx.DecodingError:
                    content = b""  # not the encoding that it says it is: the status alone decides
                finally:
                    await response.aclose()
        except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
            raise _lost(error, writes=writes) from error
        self.hearing.hear(response.headers)
        if response.status_code != 200:
            status, headers = response.status_code, response.headers
            refusal = classify(status, headers, content, secret=self._target.secret, writes=writes)
            if isinstance(refusal, Wait):
                refusal.sent_s_ago = asyncio.get_running_loop().time() - began
            raise refusal
        return content, response.headers.get("x-request-id", "")

    def _reply(self, completion_id: str, content: bytes, request_id: str, *, writes: bool) -> Reply:
        try:
            completion = self._decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _bad_response("is not a completion object", request_id, writes=writes) from None
        if completion.id != completion_id:
            raise _bad_response("is another completion", request_id, writes=writes)
        if completion.metadata is msgspec.UNSET and writes:
            raise _bad_response("shows no metadata", request_id, writes=writes)
        return Reply(completion.metadata or {}, request_id)


def _bad_response(what: str, request_id: str, *, writes: bool) -> Again:
    message = f"the API answered 200, but the body {what}"
    return Again("bad_response", message, status=200, request_id=request_id, ambiguous=writes)


def _tls_trouble(cause: aiohttp.ClientSSLError) -> str:
    """Tell an expired certificate from one for another host or of an unknown signer, where it is the certificate."""
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        why = getattr(cause.certificate_error, "verify_message", "")
        return f"the API's TLS certificate is not acceptable{why and f' ({why})'}"
    return "the API's TLS handshake is not acceptable"


def _lost(error: Exception, *, writes: bool) -> Refusal:
    """Map what the transport raises: TLS stops the job, the rest is worth another try."""
    # httpx-aiohttp folds most of aiohttp's errors into ConnectTimeout, so the cause is the better witness
    cause = error if isinstance(error, aiohttp.ClientError | OSError) else error.__cause__
    if isinstance(cause, aiohttp.ClientSSLError):
        return StopJob("tls", f"{_tls_trouble(cause)}; mend it, or the trust store of this machine")
    if isinstance(cause, aiohttp.ClientHttpProxyError) and 400 <= cause.status < 500:
        reason = (
            "the proxy refuses the connection to the API; correct HTTPS_PROXY, or except the API's host in NO_PROXY"
        )
        return StopJob("proxy", reason, status=cause.status)
    ambiguous = writes and not isinstance(cause, NEVER_SENT)
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return Again("dns", "the API's host name cannot be resolved")
    if isinstance(cause, TimeoutError):
        return Again("timeout", "the API did not answer in time", ambiguous=ambiguous)
    return Again("network", f"the connection to the API failed ({type(cause).__name__})", ambiguous=ambiguous)
