"""Reads and updates completions; a 404 that may mean a wrong URL is checked on a completion that is known to exist."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from completions.classify import NOT_FOUND_CODE, UNKNOWN_URL_CODE
from completions.client import CompletionsApi
from completions.errors import KeyRefused, RateLimited, Refusal, RowFailed, StopJob
from completions.reply import Reply
from ratelimit.limiter import RateLimiter
from worker.run_counters import RunCounters

KNOWN_FOR_S = 60.0
"""Seconds after which an answer 200 no longer proves that its completion exists."""
KNOWN_WITHIN_S, POLL_S = 5.0, 0.05
"""Longest wait for the answers to requests in flight, one of which may show a completion that exists."""
_NOT_FOUND = 404


class UrlUnclear(Exception):
    """No completion is known by which to find out what a 404 means: the row waits for other rows' answers.

    `stop` pauses the job where none comes; `write` tells whether the 404 answered an update.
    """

    def __init__(self, stop: StopJob, *, write: bool) -> None:
        super().__init__(stop.message)
        self.stop = stop
        self.write = write


class _Check(NamedTuple):
    """When a completion that exists was read; `refusal` is what came of it, None where it was found.

    Where none was known, `is_known` is false and nothing was read.
    """

    began: float
    is_known: bool
    refusal: Refusal | None = None


class KnownCompletions:
    """Completions that the endpoint answered with 200 lately.

    They are held in this process's memory alone, and never shown: an id is customer data.
    """

    def __init__(self) -> None:
        # two, as the row that asks may be one of them
        self._read: deque[tuple[str, float]] = deque(maxlen=2)
        self._written: deque[tuple[str, float]] = deque(maxlen=2)
        self.lock = asyncio.Lock()
        self.checks: dict[bool, _Check] = {}

    def note(self, completion_id: str, now: float, *, write: bool) -> None:
        """Record a completion that was answered with 200."""
        for seen in (self._read, self._written) if write else (self._read,):
            if seen and seen[-1][0] == completion_id:
                seen.pop()
            seen.append((completion_id, now))

    def another(self, completion_id: str, now: float, *, write: bool) -> str | None:
        """Return another completion that was answered lately; for writes, one whose update was.

        A server may have a route to read completions and none to update them.
        """
        seen = self._written if write else self._read
        return next(
            (known for known, at in reversed(seen) if known != completion_id and now - at < KNOWN_FOR_S),
            None,
        )


class CheckedApi:
    """Reads and updates as `CompletionsApi` does, and finds out what a 404 means.

    `found_earlier` returns a completion that another run of the job found, None where none did.
    """

    def __init__(
        self,
        api: CompletionsApi,
        limiter: RateLimiter,
        known: KnownCompletions,
        counters: RunCounters,
        *,
        found_earlier: Callable[[], Awaitable[str | None]],
    ) -> None:
        self._api = api
        self._limiter = limiter
        self._known = known
        self._counters = counters
        self._found_earlier = found_earlier
        self._under_way = 0

    async def read(self, completion_id: str, *, request_name: str) -> Reply:
        """Return the completion's metadata.

        Raises:
            Refusal: the request did not succeed; its class is the decision.
            UrlUnclear: it was answered 404, and nothing tells yet what that means.
            HandBack: the run ended before it was clear what a 404 meant.

        """
        call = self._api.read(completion_id, request_name=request_name)
        return await self._checked(call, completion_id, request_name, write=False)

    async def update(
        self,
        completion_id: str,
        metadata: Mapping[str, str | None] | None,
        *,
        request_name: str,
        may_leave: Callable[[], bool] | None = None,
    ) -> Reply:
        """Send the metadata and return the service's reply; `may_leave` is as for `CompletionsApi`.

        Raises:
            Refusal: the request did not succeed; its class is the decision.
            UrlUnclear: as for `read`.
            NotSent: `may_leave` returned false.
            HandBack: the run ended before it was clear what a 404 meant.

        """
        call = self._api.update(completion_id, metadata, request_name=request_name, may_leave=may_leave)
        return await self._checked(call, completion_id, request_name, write=True)

    async def renew_key(self, refused: KeyRefused) -> bool:
        """Read the key again and return whether it changed since the refused request was sent."""
        return await self._api.credential.renew(refused)

    def knows_another(self, completion_id: str, *, write: bool) -> bool:
        """Return whether this process was answered 200 for another completion lately; for writes, to an update."""
        return self._known.another(completion_id, asyncio.get_running_loop().time(), write=write) is not None

    async def another(self, completion_id: str, *, write: bool) -> str | None:
        """Return such a completion, or, for reads, one that another run of the job found; None where there is none."""
        known = self._known.another(completion_id, asyncio.get_running_loop().time(), write=write)
        return known if known is not None or write else await self._found_earlier()

    async def _checked(self, call: Awaitable[Reply], completion_id: str, request_name: str, *, write: bool) -> Reply:
        loop = asyncio.get_running_loop()
        self._under_way += 1
        try:
            reply = await call
        except Refusal as refusal:
            self._counters.note_error(refusal)
            if not (isinstance(refusal, StopJob) and refusal.unclear):
                raise
            unclear = refusal
        else:
            self._known.note(completion_id, loop.time(), write=write)
            return reply
        finally:
            self._under_way -= 1
        check = await self._check_url(completion_id, f"{request_name}-check", write=write)
        if not check.is_known:
            raise UrlUnclear(_stop(unclear), write=write)
        if check.refusal is None:
            raise RowFailed(NOT_FOUND_CODE, unclear.message, status=_NOT_FOUND, request_id=unclear.request_id)
        if check.refusal.status == _NOT_FOUND:
            raise _stop(unclear)
        raise check.refusal.with_traceback(None)

    async def _check_url(self, completion_id: str, request_name: str, *, write: bool) -> _Check:
        """Return what came of reading another completion, one that is known, by this URL.

        One check runs at a time in this process; it holds for all requests that were answered before it began.
        """
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with self._known.lock:
            check = self._known.checks.get(write)
            if check is None or check.began < asked_at:
                known = await self._wait_for_known(completion_id, write=write)
                began = loop.time()
                refusal = await self._read_known(known, request_name) if known else None
                check = self._known.checks[write] = _Check(began, known is not None, refusal)
            return check

    async def _wait_for_known(self, completion_id: str, *, write: bool) -> str | None:
        """Return a completion that exists; while none is known, wait for the requests in flight."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + KNOWN_WITHIN_S
        while True:
            is_known = self.knows_another(completion_id, write=write)
            if is_known or not self._under_way or loop.time() > deadline:
                return await self.another(completion_id, write=write)
            await asyncio.sleep(POLL_S)

    async def _read_known(self, known: str, request_name: str) -> Refusal | None:
        while True:
            await self._limiter.acquire(write=False)
            self._counters.requests += 1
            try:
                await self._api.read(known, request_name=request_name)
            except RateLimited as refusal:
                self._counters.throttled += 1
                await self._limiter.pause(refusal.retry_after, sent_s_ago=refusal.sent_s_ago)
            except Refusal as refusal:
                return refusal
            else:
                return None


def _stop(unclear: StopJob) -> StopJob:
    message = f"{unclear.message}; so the URL may be wrong, as no other completion is found by it"
    return StopJob(UNKNOWN_URL_CODE, message, status=unclear.status, request_id=unclear.request_id)
