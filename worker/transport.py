"""Carries httpx requests over an aiohttp session, whose pool and parser cost a tenth of httpx's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import httpx
from yarl import URL


@asynccontextmanager
async def open_transport(
    headers: Mapping[str, str], *, in_flight: int, bounds: aiohttp.ClientTimeout, proxied: bool
) -> AsyncIterator[AiohttpTransport]:
    """Open a transport with room for so many requests at once, and close it at the end.

    `headers` go with every request, besides its own. `proxied` lets HTTP_PROXY and its like count.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=in_flight, ssl=httpx.create_ssl_context()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=bounds,
        auto_decompress=False,  # httpx does it
        trust_env=proxied,  # costs two thread hops a request, so only where the environment names a proxy
    )
    # aiohttp sends a GET a second time by itself when a kept connection ends: past the rate, and uncounted
    session._retry_connection = False
    async with session:
        yield AiohttpTransport(session)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One request at a time over the session: no redirects, no cookies, no line in the log that names a completion.

    The extension `target` of a request replaces its URL's path and query, as with httpx itself. It has to be
    percent-encoded: parsing a URL anew for each request was a tenth of its cost.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and give the whole answer.

        Raises:
            aiohttp.ClientError: the request or its answer was lost.
            OSError: the same; TimeoutError where the session's timeout was over.

        """
        url = request.url
        target = request.extensions.get("target", url.raw_path)
        async with self._session.request(
            request.method,
            URL(f"{url.scheme}://{url.netloc.decode()}{target.decode()}", encoded=True),
            headers={name.decode(): value.decode() for name, value in request.headers.raw},
            data=request.read() or None,
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(body))
