"""Decides when a shard's run takes no more rows and sends no more requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from ratelimit.limiter import HandBack, RateLimiter

WATCH_EVERY_S = 0.2
"""How often the clock and the worker's stop flag are read."""
DRAIN_S = 10.0
"""Time that rows in flight get once the run's time is up, before they are handed back."""
GRACE_S = 6.0
"""Time that requests in flight and last writes get once the run must end; a worker stops within 10 s."""


class Drain:
    """The end of one shard's run, in two steps: no row starts any more, then no request leaves any more.

    The time being up leads to the first and, `DRAIN_S` later, to the second; a stopped job or worker leads to both at
    once. `stopping` tells whether the worker is stopping.
    """

    def __init__(self, limiter: RateLimiter, *, seconds: float, stopping: Callable[[], bool]) -> None:
        self._limiter = limiter
        self._seconds = seconds
        self._stopping = stopping
        self._draining = asyncio.Event()
        self.is_stopped = False

    @property
    def is_draining(self) -> bool:
        """Whether no more rows start; those in flight finish."""
        return self._draining.is_set()

    def stop_starting_rows(self) -> None:
        """Start no more rows and send no more requests; rows that wait for a slot are handed back."""
        self.is_stopped = True
        self._draining.set()
        self._limiter.close(to_writes=True)

    async def pause_for(self, seconds: float) -> None:
        """Wait so many seconds.

        Raises:
            HandBack: the run began to drain meanwhile.

        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), seconds)
            raise HandBack

    async def watch_clock(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Drain once the time is up; once the worker is stopping, end the run and cancel `tasks` after the grace."""
        loop = asyncio.get_running_loop()
        drain_at = loop.time() + self._seconds
        while not self._stopping():
            if loop.time() > drain_at:
                self._draining.set()
                self._limiter.close(to_writes=False)
            if loop.time() > drain_at + DRAIN_S:
                self.stop_starting_rows()
            await asyncio.sleep(WATCH_EVERY_S)
        self.stop_starting_rows()
        await asyncio.sleep(GRACE_S)
        for task in tasks:
            task.cancel()
