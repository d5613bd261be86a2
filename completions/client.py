"""Sends the three requests that relabel makes: read a completion, update it, list one to check the API (contract 1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
import httpx
import msgspec

from completions.classify import classify, lacks_permission
from completions.credential import Credential
from completions.errors import KeyRefused, RateLimited, Refusal, Retryable, RowFailed, StopJob
from completions.transport import open_transport, route_to
from config.api_key import read_api_key
from config.proxy import Proxy, proxy_for
from config.settings import Settings
from ledger.completion_id import id_problem
from ledger.row import Metadata
from ratelimit.headers import RateLimitHeaders

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""Errors from before the request left: the API cannot have changed anything."""


MAX_METADATA_BYTES = 1 << 16
"""Bytes that a completion's metadata may take, as it is stored with each row. 16 pairs at their limits take 37 kB."""


class Target(NamedTuple):
    """The API to call and how. Times are seconds; `secret` is the key."""

    base_url: str
    secret: str
    auth: str = "bearer"
    version: str | None = None
    organization: str | None = None
    project: str | None = None
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    proxy: Proxy | None = None

    def __repr__(self) -> str:
        """Return the endpoint, and never the key."""
        return f"Target({self.base_url!r})"

    def headers(self) -> dict[str, str]:
        """Return the headers that every request carries, except the key (contract section 2)."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "relabel"}
        if self.organization:
            headers["OpenAI-Organization"] = self.organization
        if self.project:
            headers["OpenAI-Project"] = self.project
        return headers

    def key_header(self, secret: str) -> dict[str, str]:
        """Return the header that carries the key."""
        return {"Authorization": f"Bearer {secret}"} if self.auth == "bearer" else {"api-key": secret}


class Completion(msgspec.Struct, frozen=True):
    """What relabel reads of a stored completion; real objects break the schema (contract section 1)."""

    id: str
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET


class CompletionOnly(msgspec.Struct, frozen=True):
    """A stored completion whose metadata is not a map of strings."""

    id: str


class Reply(NamedTuple):
    """The metadata that an answer shows, and the server's id of the request.

    `metadata` is None where the answer shows no map of strings, which proves nothing; `is_null` where it shows null.
    """

    metadata: Metadata | None
    request_id: str
    is_null: bool = False

    def shows(self, metadata: Metadata) -> bool:
        """Return whether the answer shows this metadata, where null counts as empty."""
        return self.metadata == metadata or (self.is_null and not metadata)


async def read_target(settings: Settings) -> Target:
    """Return what a call to the API needs, with the key as it is now.

    Raises:
        SettingsError: the key cannot be read, or the environment names a proxy that cannot be used.

    """
    return target_of(settings, await asyncio.to_thread(read_api_key, settings))


def target_of(settings: Settings, secret: str) -> Target:
    """Return what a call to the API needs, with this key.

    Raises:
        SettingsError: the environment names a proxy that cannot be used.

    """
    return Target(
        base_url=settings.openai_base_url,
        secret=secret,
        auth=settings.api.auth,
        version=settings.api.version,
        organization=settings.openai_org_id,
        project=settings.openai_project_id,
        timeout_s=settings.api.timeout_s,
        connect_timeout_s=settings.api.connect_timeout_s,
        proxy=proxy_for(settings.openai_base_url),
    )


@asynccontextmanager
async def open_api(
    target: Target, *, in_flight: int, read_key: Callable[[], str] | None = None
) -> AsyncIterator[CompletionsApi]:
    """Open a client for up to `in_flight` requests at once, and close it at the end.

    `read_key` reads the key again when it was refused; it may block.

    Raises:
        SettingsError: the CAs that the environment names cannot be used.

    """
    bounds = aiohttp.ClientTimeout(total=target.timeout_s, sock_connect=target.connect_timeout_s)
    route = route_to(target.base_url, target.proxy)
    async with open_transport(route, target.headers(), in_flight=in_flight, bounds=bounds) as transport:
        yield CompletionsApi(transport, target, Credential(target.secret, read_key))


class CompletionsApi:
    """Reads and updates stored completions, one request at a time; it neither retries nor waits."""

    def __init__(self, transport: httpx.AsyncBaseTransport, target: Target, credential: Credential) -> None:
        # the transport is called directly: no redirects, cookies or INFO line with the URL (and so the id)
        self._transport = transport
        self._key_header = target.key_header
        self.credential = credential
        self.accepted_at = float("-inf")
        self._url = httpx.URL(f"{target.base_url}/chat/completions")
        self._path = self._url.raw_path.decode()
        self._query = f"?api-version={quote(target.version, safe='')}" if target.version else ""
        self._decode = msgspec.json.Decoder(Completion).decode
        self._decode_id = msgspec.json.Decoder(CompletionOnly).decode
        self.rate_headers = RateLimitHeaders()

    async def read(self, completion_id: str, *, request_name: str) -> Reply:
        """Read the completion and return its metadata.

        Raises:
            Refusal: the request did not succeed; its class is the decision.

        """
        return await self._call("GET", completion_id, b"", request_name)

    async def update(
        self,
        completion_id: str,
        metadata: Mapping[str, str | None] | None,
        *,
        request_name: str,
        may_leave: Callable[[], bool] | None = None,
    ) -> Reply:
        """Send the metadata and return what the service says it is now, which need not be the same.

        `may_leave` is called right before the request leaves.

        Raises:
            Refusal: the request did not succeed; its class is the decision.
            NotSent: `may_leave` returned false.

        """
        return await self._call(
            "POST", completion_id, msgspec.json.encode({"metadata": metadata}), request_name, may_leave
        )

    async def ping(self, *, request_name: str) -> None:
        """Request a list of one completion, the cheapest request there is.

        Raises:
            Refusal: the request did not succeed; the status is 0 where nothing answered.

        """
        query = f"{self._query}&limit=1" if self._query else "?limit=1"
        await self._exchange("GET", query, b"", request_name)

    async def _call(
        self,
        method: str,
        completion_id: str,
        body: bytes,
        request_name: str,
        may_leave: Callable[[], bool] | None = None,
    ) -> Reply:
        refuse_bad_id(completion_id)
        path = f"/{quote(completion_id, safe='')}{self._query}"
        content, request_id = await self._exchange(
            method, path, body, request_name, completion_id=completion_id, may_leave=may_leave
        )
        return self._reply(completion_id, content, request_id, writes=method == "POST")

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes,
        request_name: str,
        *,
        completion_id: str = "",
        may_leave: Callable[[], bool] | None = None,
    ) -> tuple[bytes, str]:
        secret, reading = self.credential.secret, self.credential.readings
        request = httpx.Request(
            method,
            self._url,
            headers={"X-Client-Request-Id": request_name, **self._key_header(secret)},
            stream=httpx.ByteStream(body),
            extensions={"target": f"{self._path}{path}".encode(), "may_leave": may_leave},
        )
        writes = method == "POST"
        began = asyncio.get_running_loop().time()
        try:
            response = await self._transport.handle_async_request(request)
        except (aiohttp.ClientError, OSError) as error:
            raise _lost(error, writes=writes) from error
        content, fault = b"", ""
        try:
            content = response.read()
        except httpx.DecodingError as error:
            fault = str(error)
        self.rate_headers.observe(response.headers)
        if response.status_code != 200:
            status, headers = response.status_code, response.headers
            refusal = classify(status, headers, content, secret=secret, writes=writes, completion_id=completion_id)
            if status == 401 and not lacks_permission(refusal):
                raise KeyRefused(refusal, reading=reading)
            if isinstance(refusal, RateLimited):
                refusal.sent_s_ago = asyncio.get_running_loop().time() - began
            raise refusal
        self.accepted_at = asyncio.get_running_loop().time()
        request_id = response.headers.get("x-request-id", "")
        if fault:
            raise _bad_response(fault, request_id, writes=writes)
        return content, request_id

    def _reply(self, completion_id: str, content: bytes, request_id: str, *, writes: bool) -> Reply:
        try:
            completion = self._decoded(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _bad_response("is not a completion object", request_id, writes=writes) from None
        if completion.id != completion_id:
            raise _bad_response("is another completion", request_id, writes=writes)
        metadata = completion.metadata
        if metadata is None or metadata is msgspec.UNSET:
            return Reply(None, request_id, is_null=metadata is None)
        if len(content) > MAX_METADATA_BYTES and _size(metadata) > MAX_METADATA_BYTES:
            raise _bad_response("shows more metadata than the API allows", request_id, writes=writes)
        return Reply(metadata, request_id)

    def _decoded(self, content: bytes) -> Completion:
        try:
            return self._decode(content)
        except msgspec.ValidationError:
            return Completion(self._decode_id(content).id)


def _size(metadata: Metadata) -> int:
    return sum(len(text.encode()) for pair in metadata.items() for text in pair)


def refuse_bad_id(completion_id: str) -> None:
    """Raise RowFailed for an id that must not be sent; the ledger is trusted no more than a file."""
    if problem := id_problem(completion_id):
        raise RowFailed("invalid_id", f"the id {problem}")


def _bad_response(what: str, request_id: str, *, writes: bool) -> Retryable:
    message = f"the API answered 200, but the body {what}"
    return Retryable("bad_response", message, status=200, request_id=request_id, ambiguous=writes)


def _tls_problem(error: aiohttp.ClientSSLError) -> str:
    """Return why the handshake failed: for a certificate with its reason, such as its date, host or signer."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "")
        return f"the API's TLS certificate is not acceptable{why and f' ({why})'}"
    return "the API's TLS handshake is not acceptable"


def _lost(error: aiohttp.ClientError | OSError, *, writes: bool) -> Refusal:
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
