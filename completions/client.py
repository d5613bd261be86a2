"""Sends the requests that relabel makes: read a completion, update it, list some, list one to check the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import httpx
import msgspec

from completions.classify import classify, lacks_permission
from completions.credential import Credential
from completions.errors import CursorLost, KeyRefused, RateLimited, Refusal, RowFailed, StopJob
from completions.list_page import MAX_PAGE_BYTES, ListQuery, Page, read_page
from completions.reply import Reply, bad_response, read_reply, require_json
from completions.response_body import MAX_BODY_BYTES
from completions.target import Target
from completions.transport import open_transport, refusal_of, route_to
from ledger.completion_id import id_problem
from ratelimit.headers import RateLimitHeaders


@asynccontextmanager
async def open_api(
    target: Target, *, in_flight: int, read_key: Callable[[], str] | None = None
) -> AsyncIterator[CompletionsApi]:
    """Open a client for up to `in_flight` requests at once, and close it at the end.

    `read_key` reads the key again when it was refused; it may block.

    Raises:
        SettingsError: the CAs that the environment names cannot be used.

    """
    async with open_transport(
        route_to(target.base_url, target.proxy),
        target.base_url,
        target.headers(),
        in_flight=in_flight,
        total_s=target.timeout_s,
        connect_s=target.connect_timeout_s,
    ) as transport:
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
        self.rate_headers = RateLimitHeaders()

    async def read(self, completion_id: str, *, request_name: str) -> Reply:
        """Read the completion and return its metadata.

        Raises:
            Refusal: the request did not succeed; its class is the decision.

        """
        return await self._call(_Call("GET", completion_id, request_name))

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
        body = msgspec.json.encode({"metadata": metadata})
        return await self._call(_Call("POST", completion_id, request_name, body, may_leave))

    async def list_page(self, query: ListQuery, *, after: str | None, request_name: str) -> Page:
        """Read the page of the list that follows this completion, None for the first.

        Raises:
            CursorLost: the server does not know that completion.
            Refusal: the request did not succeed; its class is the decision. A StopJob `no_list`: there is no list.

        """
        parameters = urlencode(query.parameters(after), quote_via=quote)
        path = f"{self._query}&{parameters}" if self._query else f"?{parameters}"
        try:
            call = _Call("GET", after or "", request_name, most_bytes=MAX_PAGE_BYTES)
            content, request_id = await self._exchange(call, path)
        except Refusal as refusal:
            raise _list_refusal(refusal, after) from None
        return read_page(content, request_id, limit=query.limit)

    async def ping(self, *, request_name: str) -> None:
        """Request a list of one completion, the cheapest request there is.

        Raises:
            Refusal: the request did not succeed, or the answer is no JSON; the status is 0 where nothing answered.

        """
        query = f"{self._query}&limit=1" if self._query else "?limit=1"
        content, request_id = await self._exchange(_Call("GET", "", request_name), query)
        require_json(content, request_id)

    async def _call(self, call: _Call) -> Reply:
        refuse_bad_id(call.completion_id)
        content, request_id = await self._exchange(call, f"/{quote(call.completion_id, safe='')}{self._query}")
        return read_reply(content, call.completion_id, request_id, writes=call.writes)

    async def _exchange(self, call: _Call, path: str) -> tuple[bytes, str]:
        """Send the request; return the body of an answer 200 and the server's id of the request."""
        secret, reading = self.credential.secret, self.credential.readings
        began = asyncio.get_running_loop().time()
        try:
            response = await self._transport.handle_async_request(self._request(call, path, secret))
        except (aiohttp.ClientError, OSError) as error:
            raise refusal_of(error, writes=call.writes) from error
        content, fault = b"", ""
        try:
            content = _content_of(response)
        except httpx.DecodingError as error:
            fault = str(error)
        self.rate_headers.observe(response.headers)
        if response.status_code != 200:
            refusal = self._refusal(call, response, content, secret)
            if response.status_code == 401 and not lacks_permission(refusal):
                raise KeyRefused(refusal, reading=reading)
            if isinstance(refusal, RateLimited):
                refusal.sent_s_ago = asyncio.get_running_loop().time() - began
            raise refusal
        self.accepted_at = asyncio.get_running_loop().time()
        request_id = response.headers.get("x-request-id", "")
        if fault:
            raise bad_response(fault, request_id, writes=call.writes)
        return content, request_id

    def _request(self, call: _Call, path: str, secret: str) -> httpx.Request:
        return httpx.Request(
            call.method,
            self._url,
            headers={"X-Client-Request-Id": call.request_name, **self._key_header(secret)},
            stream=httpx.ByteStream(call.body),
            extensions={
                "target": f"{self._path}{path}".encode(),
                "may_leave": call.may_leave,
                "most_bytes": call.most_bytes,
            },
        )

    @staticmethod
    def _refusal(call: _Call, response: httpx.Response, content: bytes, secret: str) -> Refusal:
        return classify(
            response.status_code,
            response.headers,
            content,
            secret=secret,
            writes=call.writes,
            completion_id=call.completion_id,
        )


def _content_of(response: httpx.Response) -> bytes:
    """Return the body, which the transport has read and decoded; `response.read()` costs as much as to receive it.

    Raises:
        httpx.DecodingError: it could not be decoded, or is too large.

    """
    if not isinstance(response.stream, httpx.SyncByteStream):
        raise TypeError("the transport has to read the body of an answer")
    return b"".join(response.stream)


class _Call(NamedTuple):
    """A request to send. `may_leave` is called right before it leaves; `most_bytes` bounds the answer."""

    method: str
    completion_id: str
    request_name: str
    body: bytes = b""
    may_leave: Callable[[], bool] | None = None
    most_bytes: int = MAX_BODY_BYTES

    @property
    def writes(self) -> bool:
        """Whether the request is an update."""
        return self.method == "POST"


def refuse_bad_id(completion_id: str) -> None:
    """Raise RowFailed for an id that must not be sent; the ledger is trusted no more than a file."""
    if problem := id_problem(completion_id):
        raise RowFailed("invalid_id", f"the id {problem}")


def _list_refusal(refusal: Refusal, after: str | None) -> Refusal:
    """Return what a refusal of a page means: no list at all, or no such completion after which it could begin."""
    if after is not None and refusal.status in {400, 404}:
        return CursorLost(refusal.code, refusal.message, status=refusal.status, request_id=refusal.request_id)
    if refusal.status in {404, 405}:
        what = (
            "this server has no list of stored completions; correct OPENAI_BASE_URL if it is not the right one, else "
            "name the completions in a file"
        )
        return StopJob("no_list", what, status=refusal.status, request_id=refusal.request_id)
    return refusal
