"""One rate for everything that talks to the same endpoint for the same project, shared through Redis.

The limiter leases slots a little ahead of time and spends each at its moment, so the server sees an even stream and
no slot is lost to a slow round trip. Without Redis there are no slots: it fails closed. After a 429 the rate corrects
itself, for all workers together (`lua/pause.lua`, `lua/acquire.lua`).
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Iterable

from ledger.clock import CLOCKS, Clocks, Reading
from ledger.connect import AWAY, describe
from ledger.errors import LedgerUnreachable
from ratelimit.headers import RateLimitHeaders
from ratelimit.limits import HORIZON_S, Limits, RateStatus, SharedLimit
from ratelimit.spare_slots import MOST, SpareSlots

LONGEST_SLEEP_S = 0.5
"""Longest wait before the limit is looked at again, so that changes are seen soon."""
GATHER_S = 0.005
"""While slots are plenty, the wait in which rows gather that ask for them: a round trip costs half a request."""
LATE_S = 2.0
"""Age past its moment at which a slot is dropped: a worker that was stopped must not spend at once what it leased."""


class HandBack(Exception):
    """The row goes back unsettled: the shard's time is up, the job was paused, or the worker is ending."""


class RateLimiter:
    """Hands slots to the rows of one shard; writes go before reads, so that a row that was read is soon written.

    Work in the `background`, such as a selection, gets a tenth of the rate while a job runs. `longest_away_s` is how
    long Redis may be away or full before those who wait get `LedgerUnreachable`; None for as long as it takes.
    """

    def __init__(
        self,
        limits: Limits,
        shared: SharedLimit,
        *,
        job_id: str | None,
        rate_headers: RateLimitHeaders | None = None,
        background: bool = False,
        longest_away_s: float | None = None,
        clocks: Clocks = CLOCKS,
    ) -> None:
        self._limits = limits
        self._longest_away_s = longest_away_s
        self._clocks = clocks
        self._shared = shared
        self._lease = functools.partial(limits.acquire, shared=shared, job_id=job_id, background=background)
        self._rate_headers = rate_headers or RateLimitHeaders()
        self._reads: deque[asyncio.Future[None]] = deque()
        self._writes: deque[asyncio.Future[None]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._closed_to: set[str] = set()
        self._refusals = 0
        self._answered = 0
        self._plenty = False
        # work in the background has few slots, and one that it did not use would count as used
        self._spare = SpareSlots(clocks, life_s=HORIZON_S, most=0 if background else MOST)
        self.waiting = 0
        self.status = RateStatus()

    async def acquire(self, *, write: bool) -> None:
        """Wait for a slot.

        Raises:
            HandBack: the limiter was closed to this kind of request.
            LedgerUnreachable: Redis was away or full for longer than it may be.

        """
        if ("write" if write else "read") in self._closed_to:
            raise HandBack
        if self._spare.take():
            return
        waiter = asyncio.get_running_loop().create_future()
        (self._writes if write else self._reads).append(waiter)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._hand_out())
        self.waiting += 1
        try:
            await waiter
        finally:
            self.waiting -= 1

    async def pause(self, retry_after: float | None, *, sent_s_ago: float = 0.0) -> None:
        """Pause every worker on this limit. While Redis is away there is nothing to do, as nobody gets a slot."""
        self._refusals += 1
        self._spare.clear()
        try:
            await self._limits.pause(self._shared.key, retry_after, sent_s_ago=sent_s_ago)
        except AWAY:
            return
        finally:
            self._refusals += 1  # also a lease that was taken meanwhile knows nothing of the pause
            self._spare.clear()

    def note_answered(self) -> None:
        """Count an answer other than 429, with which a limit rises that was never used."""
        self._answered += 1

    def close(self, *, to_writes: bool) -> None:
        """Stop handing slots to reads, or to anything; waiters get `HandBack`."""
        self._closed_to |= {"read", "write"} if to_writes else {"read"}
        _end_waiting((self._reads, self._writes) if to_writes else (self._reads,), HandBack)

    async def aclose(self) -> None:
        """Stop handing out slots and wait until that has ended."""
        self.close(to_writes=True)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    async def _hand_out(self) -> None:
        loop = asyncio.get_running_loop()
        answered_at = loop.time()
        while self._writes or self._reads:
            if self._plenty:
                await asyncio.sleep(GATHER_S)
            waiting = len(self._writes) + len(self._reads)
            want = waiting + self._spare.wanted(self.status.rate if self._plenty else 0.0)
            refusals, asked = self._refusals, self._clocks.read()
            try:
                remaining, answered = self._rate_headers.take(), self._answered
                grant = await self._lease(want, remaining=remaining, answered=answered)
                self._answered -= answered
            except AWAY as error:
                if self._longest_away_s is not None and loop.time() - answered_at >= self._longest_away_s:
                    why = describe(error)
                    _end_waiting((self._reads, self._writes), lambda: LedgerUnreachable(why))  # noqa: B023
                    return
                await asyncio.sleep(LONGEST_SLEEP_S)
                continue
            answered_at = began = loop.time()
            self.status = grant.status
            self._plenty = len(grant.slots) >= waiting and not any(grant.slots)
            if not grant.slots:
                await asyncio.sleep(min(grant.ask_again_s, LONGEST_SLEEP_S))
            for slot in grant.slots:
                if (early := began + slot - loop.time()) > 0:
                    await asyncio.sleep(early)
                if self._refusals != refusals or self._clocks.age_s(asked) - slot > LATE_S:
                    break  # spent after a 429 or that late, the slots left would only be refused, too
                self._give(asked)

    def _give(self, leased: Reading) -> None:
        for waiters in (self._writes, self._reads):
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self._spare.add(leased)


def _end_waiting(queues: Iterable[deque[asyncio.Future[None]]], error: Callable[[], Exception]) -> None:
    """Raise an error of its own in each who waits."""
    for waiters in queues:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error())
        waiters.clear()
