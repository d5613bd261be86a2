"""The API as the rows of a turn use it: a 404 that may mean a wrong URL is checked on a completion that is there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from completions.classify import NOT_FOUND_CODE, UNKNOWN_URL_CODE
from completions.client import CompletionsApi, Reply
from completions.errors import KeyRefused, RateLimited, Refusal, RowFailed, StopJob
from ratelimit.limiter import RateLimiter

KNOWN_FOR_S = 60.0
"""Age at which an answer 200 proves nothing any more of the completion it was for."""
KNOWN_WITHIN_S, LOOK_AGAIN_S = 5.0, 0.05
"""Longest wait for the answers to requests under way, the first of which may tell of a completion that is there."""
_NOT_FOUND = 404


class Counted(Protocol):
    """Where requests are counted."""

    requests: int
    throttled: int


class KnownCompletions:
    """Completions that the endpoint answered with 200 lately.

    They are kept in this process's memory alone, and never shown: an id is customer data.
    """

    def __init__(self) -> None:
        # two, as the row that asks may be one of them
        self._read: deque[tuple[str, float]] = deque(maxlen=2)
        self._written: deque[tuple[str, float]] = deque(maxlen=2)
        self.lock = asyncio.Lock()
        self.checks: dict[bool, tuple[float, Refusal | None]] = {}

    def note(self, completion_id: str, now: float, *, write: bool) -> None:
        """Remember a completion that was answered with 200."""
        for seen in (self._read, self._written) if write else (self._read,):
            if seen and seen[-1][0] == completion_id:
                seen.pop()
            seen.append((completion_id, now))

    def another(self, completion_id: str, now: float, *, write: bool) -> str | None:
        """Return another completion that was answered lately; for writes, one whose update was.

        A server may have a route to read and none to update.
        """
        seen = self._written if write else self._read
        return next(
            (known for known, at in reversed(seen) if known != completion_id and now - at < KNOWN_FOR_S),
            None,
        )


class CheckedApi:
    """Reads and updates as `CompletionsApi` does, and never leaves it unclear what a 404 means."""

    def __init__(self, api: CompletionsApi, limiter: RateLimiter, known: KnownCompletions, counted: Counted) -> None:
        self._api = api
        self._limiter = limiter
        self._known = known
        self._reported = counted
        self._under_way = 0

    async def read(self, completion_id: str, *, request_name: str) -> Reply:
        """Return the completion's metadata.

        Raises:
            Refusal: one of its kinds, which says what to do.
            HandBack: the turn ended before it was clear what a 404 meant.

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
        """Send the metadata and return what the service says it is now; `may_leave` is as for `CompletionsApi`.

        Raises:
            Refusal: one of its kinds, which says what to do.
            NotSent: it was not to leave any more.
            HandBack: the turn ended before it was clear what a 404 meant.

        """
        call = self._api.update(completion_id, metadata, request_name=request_name, may_leave=may_leave)
        return await self._checked(call, completion_id, request_name, write=True)

    async def renew_key(self, refused: KeyRefused) -> bool:
        """Read the key again and return whether it changed since the refused request was sent."""
        return await self._api.credential.renew(refused)

    async def _checked(self, call: Awaitable[Reply], completion_id: str, request_name: str, *, write: bool) -> Reply:
        loop = asyncio.get_running_loop()
        self._under_way += 1
        try:
            reply = await call
        except StopJob as refusal:
            if not refusal.unclear:
                raise
            unclear = refusal
        else:
            self._known.note(completion_id, loop.time(), write=write)
            return reply
        finally:
            self._under_way -= 1
        against = await self._against(completion_id, f"{request_name}-check", write=write)
        if against is None:
            raise RowFailed(NOT_FOUND_CODE, unclear.message, status=_NOT_FOUND, request_id=unclear.request_id)
        if against.status == _NOT_FOUND:
            raise _stop(unclear)
        raise against.with_traceback(None)

    async def _against(self, completion_id: str, request_name: str, *, write: bool) -> Refusal | None:
        """Return what speaks against this URL, None where a completion that is there was just read by it.

        One check at a time in this process, which counts for all requests that were answered before it began.
        """
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with self._known.lock:
            began, against = self._known.checks.get(write, (0.0, None))
            if began < asked_at:
                known = await self._wait_for_known(completion_id, write=write)
                began = loop.time()
                against = await self._read_known(known, request_name)
                self._known.checks[write] = (began, against)
            return against

    async def _wait_for_known(self, completion_id: str, *, write: bool) -> str | None:
        """Return a completion that is there; while none is known, wait for the requests under way."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + KNOWN_WITHIN_S
        while True:
            known = self._known.another(completion_id, loop.time(), write=write)
            if known is not None or not self._under_way or loop.time() > deadline:
                return known
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _read_known(self, known: str | None, request_name: str) -> Refusal | None:
        if known is None:
            return StopJob(UNKNOWN_URL_CODE, "no completion is known that is there", status=_NOT_FOUND)
        while True:
            await self._limiter.acquire(write=False)
            self._reported.requests += 1
            try:
                await self._api.read(known, request_name=request_name)
            except RateLimited as refusal:
                self._reported.throttled += 1
                await self._limiter.pause(refusal.retry_after, sent_s_ago=refusal.sent_s_ago)
            except Refusal as refusal:
                return refusal
            else:
                return None


def _stop(unclear: StopJob) -> StopJob:
    message = f"{unclear.message}; so the URL may be wrong, as no other completion is found by it"
    return StopJob(UNKNOWN_URL_CODE, message, status=unclear.status, request_id=unclear.request_id)
