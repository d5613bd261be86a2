"""One rate for everything that talks to the same endpoint with the same key, shared through Redis.

The limiter leases slots a little ahead of time and spends each at its moment, so the server sees an even stream and
no slot is lost to a slow round trip. Without Redis there are no slots: it fails closed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.connect import AWAY
from ledger.scripts import load_script
from worker.errors import HandBack

HORIZON_S = 0.25
"""How far ahead slots are leased: a live change of the rate or a pause is in effect after this."""
LONGEST_SLEEP_S = 0.5
"""Longest wait before the limit is looked at again, so that changes are seen soon."""
FIRST_PAUSE_S = 0.5
"""First pause after a 429 without Retry-After (openai-python's first delay, contract section 2)."""
LONGEST_PAUSE_S = 30.0
"""Longest pause after 429s without Retry-After, one after the other."""
_JOB_LIMIT = "relabel:{%s}:limit"


class Limit(NamedTuple):
    """A rate in requests a second, and the requests that may go at once."""

    rate: float
    burst: int

    @classmethod
    def per_minute(cls, requests: float, burst: int | None = None) -> Limit:
        """Make a limit from requests a minute; without a burst, a tenth of a second's worth may go at once."""
        rate = requests / 60
        return cls(rate, burst or max(1, int(rate / 10)))


def limit_key(base_url: str, secret: str, organization: str | None, project: str | None) -> str:
    """Name the limit that an endpoint and key share; the key itself cannot be read from it."""
    parts = "\0".join((base_url, secret, organization or "", project or ""))
    return f"relabel:limit:{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


class Grant(NamedTuple):
    """Slots of a lease, each in seconds from now; without any, the seconds until it is worth asking again."""

    slots: Sequence[float]
    ask_again_s: float
    paused_s: float
    paused_by: str


class Limits:
    """The limits as they stand in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._acquire = load_script(redis, "acquire", package="worker")
        self._pause = load_script(redis, "pause", package="worker")

    async def acquire(self, want: int, shared: tuple[str, Limit], own: tuple[str, Limit] | None = None) -> Grant:
        """Lease up to `want` slots that keep both the shared limit and the job's own."""
        limits = (shared, own) if own else (shared,)
        args = [want, HORIZON_S, *(number for _, limit in limits for number in limit)]
        again, paused, code, *slots = await self._acquire([key for key, _ in limits], args)
        return Grant([slot / 1e6 for slot in slots], again / 1e6, paused / 1e6, code.decode())

    async def pause(self, key: str, retry_after: float | None) -> float:
        """Let everybody on the limit wait, `retry_after` seconds or longer each time; give the seconds."""
        asked = "" if retry_after is None else retry_after
        return float(await self._pause([key], [asked, FIRST_PAUSE_S, LONGEST_PAUSE_S])) / 1e6


class RateLimiter:
    """Hands slots to the rows of one shard; writes go before reads, so that a row that was read is soon written."""

    def __init__(self, limits: Limits, *, key: str, limit: Limit, job_id: str, job_limit: Limit | None) -> None:
        self._limits = limits
        self._shared = (key, limit)
        self._own = (_JOB_LIMIT % job_id, job_limit) if job_limit else None
        self._reads: deque[asyncio.Future[None]] = deque()
        self._writes: deque[asyncio.Future[None]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._closed_to: set[str] = set()
        self.waiting = 0
        self.paused_s = 0.0
        self.paused_by = ""

    async def acquire(self, *, write: bool) -> None:
        """Wait for a slot.

        Raises:
            HandBack: the limiter was closed to this kind of request.

        """
        if ("write" if write else "read") in self._closed_to:
            raise HandBack
        waiter = asyncio.get_running_loop().create_future()
        (self._writes if write else self._reads).append(waiter)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._hand_out())
        self.waiting += 1
        try:
            await waiter
        finally:
            self.waiting -= 1

    async def pause(self, retry_after: float | None) -> None:
        """Let every worker on this limit wait. When Redis is away there is nothing to do: nobody gets a slot."""
        try:
            await self._limits.pause(self._shared[0], retry_after)
        except AWAY:
            return

    def close(self, *, to_writes: bool) -> None:
        """Give no more slots to reads, or to anything; whoever waits for one gets `HandBack`."""
        self._closed_to |= {"read", "write"} if to_writes else {"read"}
        for waiters in (self._reads, self._writes) if to_writes else (self._reads,):
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(HandBack())
            waiters.clear()

    async def aclose(self) -> None:
        """End the handing out."""
        self.close(to_writes=True)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    async def _hand_out(self) -> None:
        loop = asyncio.get_running_loop()
        while want := len(self._writes) + len(self._reads):
            try:
                grant = await self._limits.acquire(want, self._shared, self._own)
            except AWAY:
                await asyncio.sleep(LONGEST_SLEEP_S)
                continue
            began = loop.time()
            self.paused_s, self.paused_by = grant.paused_s, grant.paused_by
            if not grant.slots:
                await asyncio.sleep(min(grant.ask_again_s, LONGEST_SLEEP_S))
            for slot in grant.slots:
                early = began + slot - loop.time()
                if early > 0:
                    await asyncio.sleep(early)
                self._wake_one()

    def _wake_one(self) -> None:
        for waiters in (self._writes, self._reads):
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
