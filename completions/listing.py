"""Reads the list of stored completions page by page, under the shared rate, however often a page has to be tried."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import msgspec

from completions.client import CompletionsApi
from completions.errors import CursorLost, KeyRefused, RateLimited, Refusal, Retryable, RowFailed
from completions.list_page import Listed, ListQuery, Page
from completions.list_place import Cursor, Doubts, Place
from completions.retry_after import backoff
from ledger.cancellation import end_tasks
from ledger.ledger import Ledger
from ratelimit.breaker import WELL_FOR_S, CircuitBreaker
from ratelimit.limiter import RateLimiter
from ratelimit.limits import Limits, SharedLimit

__all__ = ["Cursor", "Doubts", "ListQuery", "ListReader", "Listed", "Page", "ReadPage", "open_list"]

T = TypeVar("T")
ATTEMPTS = 5
"""Tries of a page before the reading fails, where the API works otherwise or has not answered yet."""


class ReadPage(NamedTuple):
    """The completions of a page that are new, where the reading stands after it, and the requests that it took."""

    items: list[Listed]
    cursor: Cursor
    requests: int


class ListCalls(NamedTuple):
    """What a reading needs for its requests. `pause_for` waits so many seconds; `name` begins each request's own id.

    `on_wait` is told of each refusal that is waited for.
    """

    api: CompletionsApi
    limiter: RateLimiter
    breaker: CircuitBreaker
    name: str
    attempts: int = ATTEMPTS
    pause_for: Callable[[float], Awaitable[None]] = asyncio.sleep
    on_wait: Callable[[Refusal], None] = lambda _: None


@asynccontextmanager
async def open_list(
    ledger: Ledger,
    api: CompletionsApi,
    shared: SharedLimit,
    query: ListQuery,
    *,
    name: str,
    cursor: Cursor | None = None,
    since: float | None = None,
    until: float | None = None,
    on_wait: Callable[[Refusal], None] = lambda _: None,
    away_s: float | None = None,
) -> AsyncIterator[ListReader]:
    """Open a reading of the list, at most a tenth of the rate beside a job, and end what it started at the end.

    `away_s` is how long Redis may be away or full, None for as long as it takes.
    """
    limits, headers = Limits(ledger.redis), api.rate_headers
    limiter = RateLimiter(limits, shared, job_id=None, rate_headers=headers, background=True, longest_away_s=away_s)
    breaker = CircuitBreaker(ledger.redis, shared.key)
    reports = asyncio.create_task(breaker.run())
    try:
        calls = ListCalls(api, limiter, breaker, name, on_wait=on_wait)
        yield ListReader(calls, query, cursor=cursor, since=since, until=until)
    finally:
        await end_tasks([reports])
        await limiter.aclose()


class ListReader:
    """Reads a list page by page. What was seen once is not given again, whatever comes and goes meanwhile.

    `requests`, `retries` and `throttled` count its requests, those that were repeated, and the answers 429.
    """

    def __init__(
        self,
        calls: ListCalls,
        query: ListQuery,
        *,
        cursor: Cursor | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> None:
        cursor = cursor or Cursor(query.order)
        if cursor.order != query.order:
            raise ValueError(f"a reading in order {cursor.order} cannot go on in order {query.order}")
        self._calls = calls
        self._query = query
        self._place = Place(cursor, since=since, until=until)
        self._sent_with_new_key = False
        self._answered_at: float | None = None
        self.requests = self.retries = self.throttled = 0

    @property
    def cursor(self) -> Cursor:
        """Where the reading stands, with what it could not see for sure (`Cursor.doubts`)."""
        return self._place.cursor

    async def pages(self) -> AsyncGenerator[ReadPage, None]:
        """Read to the end, and give each page as it is read; one without anything new is given, too.

        Raises:
            StopJob: the API cannot be used, has no list, or repeats its pages.
            RowFailed: the API refuses the query.
            Retryable: a page failed as often as may be tried, while the API works otherwise or has not answered yet.
            HandBack: the limiter was closed.
            LedgerUnreachable: Redis was away or full for longer than it may be.

        """
        while not self._place.ended:
            before = self.requests
            items = self._place.take(await self._next_page())
            yield ReadPage(items, self._place.cursor, self.requests - before)

    async def confirm(self, item: Listed) -> Listed:
        """Return an item with the metadata that a GET shows, as its page showed none; None where neither does.

        Raises:
            StopJob, HandBack, LedgerUnreachable: as `pages`.

        """
        failures = 0
        while True:
            try:
                reply = await self._send(lambda name: self._calls.api.read(item.id, request_name=name))
                return item._replace(metadata={} if reply.is_null else reply.metadata)
            except RowFailed:
                return item
            except (RateLimited, KeyRefused, Retryable) as refusal:
                failures += isinstance(refusal, Retryable)
                if refusal.code == "bad_response" and failures >= self._calls.attempts:
                    return item
                try:
                    await self._wait_after(refusal, failures)
                except Retryable:
                    return item

    async def _next_page(self) -> Page:
        failures, limit, api, place = 0, self._query.limit, self._calls.api, self._place
        while True:
            query = msgspec.structs.replace(self._query, limit=limit)
            try:
                return await self._send(lambda name: api.list_page(query, after=place.after, request_name=name))  # noqa: B023
            except CursorLost:
                place.lose()
            except (RateLimited, KeyRefused, Retryable) as refusal:
                failures += isinstance(refusal, Retryable)
                await self._wait_after(refusal, failures)
                if refusal.code in {"bad_response", "timeout"}:
                    limit = max(1, limit // 2)  # a page may be too large, or take too long

    async def _send(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Send a request under the shared rate; `call` takes the name of the request."""
        calls = self._calls
        await calls.limiter.acquire(write=False)
        self.requests += 1
        try:
            answer = await call(f"{calls.name}-{self._place.pages}-{self.requests}")
        except (Retryable, RowFailed) as refusal:
            failing = isinstance(refusal, Retryable) and refusal.endpoint_fails
            calls.breaker.record(write=False, succeeded=not failing)
            raise
        calls.breaker.record(write=False, succeeded=True)
        self._sent_with_new_key, self._answered_at = False, time.monotonic()
        return answer

    async def _wait_after(self, refusal: RateLimited | KeyRefused | Retryable, failures: int) -> None:
        """Wait until a refused request may be sent again, which failed so often; raise the refusal where it may not."""
        if isinstance(refusal, RateLimited):
            self.throttled += 1
            self._calls.on_wait(refusal)
            await self._calls.limiter.pause(refusal.retry_after, sent_s_ago=refusal.sent_s_ago)
        elif isinstance(refusal, KeyRefused):
            if self._sent_with_new_key or not await self._calls.api.credential.renew(refusal):
                raise refusal
            self._sent_with_new_key = True
        else:
            self.retries += 1
            if failures >= self._calls.attempts and await self._should_give_up(refusal):
                raise refusal
            self._calls.on_wait(refusal)
            await self._calls.pause_for(refusal.retry_after or backoff(failures))

    async def _should_give_up(self, refusal: Retryable) -> bool:
        """Return whether the page is at fault; while an API fails that answered before, it is waited for.

        That others' requests succeed shows it, once the last success of this reading does not count as theirs.
        """
        if not refusal.endpoint_fails or self._answered_at is None:
            return True
        is_alone = time.monotonic() - self._answered_at < WELL_FOR_S
        return not is_alone and await self._calls.breaker.row_at_fault(write=False)
