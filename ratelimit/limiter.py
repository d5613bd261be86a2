"""One rate for everything that talks to the same endpoint for the same project, shared through Redis.

The limiter leases slots a little ahead of time and spends each at its moment, so the server sees an even stream and
no slot is lost to a slow round trip. Without Redis there are no slots: it fails closed. After a 429 the rate corrects
itself, for all workers together (`lua/pause.lua`, `lua/acquire.lua`).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.clock import CLOCKS, Clocks, Reading
from ledger.connect import AWAY, describe
from ledger.errors import LedgerUnreachable
from ledger.keys import JobKeys
from ledger.scripts import load_script
from ratelimit.headers import RateLimitHeaders, Remaining
from ratelimit.spare_slots import MOST, SpareSlots

HORIZON_S = 0.25
"""How far ahead slots are leased: a live change of the rate or a pause is in effect after this."""
LONGEST_SLEEP_S = 0.5
"""Longest wait before the limit is looked at again, so that changes are seen soon."""
GATHER_S = 0.005
"""While slots are plenty, the wait in which rows gather that ask for them: a round trip costs half a request."""
LATE_S = 2.0
"""Age past its moment at which a slot is dropped: a worker that was stopped must not spend at once what it leased."""
FIRST_PAUSE_S = 0.5
"""First pause after a 429 without Retry-After (openai-python's first delay, contract section 2)."""
LONGEST_PAUSE_S = 30.0
"""Longest pause after 429s without Retry-After, one after the other, or because the API says that none is left."""


class HandBack(Exception):
    """The row goes back unsettled: the shard's time is up, the job was paused, or the worker is ending."""


class Limit(NamedTuple):
    """A rate in requests a second, and the requests that may go at once."""

    rate: float
    burst: int

    @classmethod
    def per_minute(cls, requests: float, burst: int | None = None) -> Limit:
        """Return the limit of so many requests a minute; the burst is a tenth of a second's worth unless it is set."""
        rate = requests / 60
        return cls(rate, burst or max(1, int(rate / 10)))


class SharedLimit(NamedTuple):
    """The limit that calls share: its Redis key, and what it allows unless a rate was set live."""

    key: str
    limit: Limit


LIMIT_PREFIX = "relabel:limit:"


def limit_key(
    base_url: str, secret: str, organization: str | None, project: str | None, name: str | None = None
) -> str:
    """Return the Redis key of the limit that calls share; the API key itself cannot be read from it.

    The endpoint and `name`, else its `project`, identify the limit, so that it outlives a rotated key. Where neither is
    set, the key does.
    """
    parts: tuple[str, ...]
    if name:
        parts = ("name", base_url, name)
    elif project:
        parts = ("project", base_url, project)
    else:
        parts = (base_url, secret, organization or "", "")
    return f"{LIMIT_PREFIX}{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"


def rates_key(limit: str) -> str:
    """Return the key of a sorted set: `rate|burst` that workers on a limit ask for, by when one last did."""
    return f"{limit}:rates"


class RateStatus(NamedTuple):
    """The shared rate now: in force and asked for (requests a second), why it is lower, slots used in 5 s.

    `slowed_by` is `429`, `headers` or `failing`, '' where the rate is as asked for; `paused_by` is `rate_limited`,
    `used_up` or `failing`. `asks` are the different rates of living workers; the lowest holds, unless one was set live.
    `background` is what work in the background may have of the rate, `background_used` its part of the slots used.
    """

    paused_s: float = 0.0
    paused_by: str = ""
    rate: float = 0.0
    asked: float = 0.0
    slowed_by: str = ""
    used: float = 0.0
    asks: tuple[float, ...] = ()
    background: float = 0.0
    background_used: float = 0.0


class Grant(NamedTuple):
    """Slots of a lease, each in seconds from now; without any, the seconds until it is worth asking again."""

    slots: Sequence[float]
    ask_again_s: float
    status: RateStatus


class Limits:
    """The limits in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._acquire = load_script(redis, "acquire", package="ratelimit")
        self._pause = load_script(redis, "pause", package="ratelimit")

    async def acquire(
        self,
        want: int,
        shared: SharedLimit,
        *,
        job_id: str | None = None,
        remaining: Remaining | None = None,
        alive: bool = False,
        background: bool = False,
        answered: int = 0,
    ) -> Grant:
        """Lease up to `want` slots that keep both the shared limit and the job's own; with 0 only read the status.

        `remaining` is what the API's headers said last, `answered` how many answers other than 429 came since the last
        call. The rate of `shared` counts for all workers while its caller wants slots, or says that it is `alive`; not
        that of work in the `background`, which beside a job gets a tenth of the rate in force.
        """
        keys = [shared.key, rates_key(shared.key)]
        keys += [] if job_id is None else [JobKeys(job_id).limit, JobKeys(job_id).job]
        counts = int(alive or (want > 0 and not background))
        bounds = [want, HORIZON_S, *shared.limit, *(remaining or ("", "")), LONGEST_PAUSE_S, counts]
        bounds += [int(background), answered]
        answer = await self._acquire(keys, bounds)
        again, paused, code, rate, asked, slowed_by, used, asks, share, its_used, slots = answer
        status = RateStatus(
            paused_s=paused / 1e6,
            paused_by=code.decode(),
            rate=float(rate),
            asked=float(asked),
            slowed_by=slowed_by.decode(),
            used=used / 1e3,
            asks=tuple(sorted({float(each) for each in asks.split()})),
            background=float(share),
            background_used=its_used / 1e3,
        )
        return Grant([int(slot) / 1e6 for slot in slots.split()], again / 1e6, status)

    async def pause(self, key: str, retry_after: float | None, *, sent_s_ago: float = 0.0) -> float:
        """Pause and slow down all calls on the limit after a refused request; return the seconds to wait.

        They are `retry_after`, or longer each time. Refusals of requests sent before that count as the same one.
        """
        asked = "" if retry_after is None else retry_after
        return float(await self._pause([key], [asked, FIRST_PAUSE_S, LONGEST_PAUSE_S, sent_s_ago])) / 1e6


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
