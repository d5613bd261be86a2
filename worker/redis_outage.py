"""Repeats ledger steps while Redis is unavailable, and logs each outage once a process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ledger.cancellation import is_cancelled
from ledger.connect import AWAY, describe

T = TypeVar("T")
RETRY_DELAY_S = 1.0
"""Wait between two tries while Redis is unavailable."""

log = logging.getLogger(__name__)


class RedisOutage:
    """Logs the begin and the end of an outage once each, however many tasks of one process meet it.

    A try that began before the last change says nothing new: it may fail late, on a connection that Redis closed, or
    succeed with an answer that Redis sent before it ended. `tried_at` is on the monotonic clock.
    """

    def __init__(self) -> None:
        self._is_on = False
        self._changed_at = float("-inf")

    def begin(self, error: Exception, *, tried_at: float) -> None:
        """Record that Redis does not answer, with the error that showed it."""
        if not self._is_on and tried_at >= self._changed_at:
            log.warning("%s Nothing is sent meanwhile.", describe(error))
            self._is_on, self._changed_at = True, time.monotonic()

    def end(self, *, tried_at: float) -> None:
        """Record that Redis answers."""
        if self._is_on and tried_at >= self._changed_at:
            now = time.monotonic()
            log.info("Redis is back", extra={"seconds": round(now - self._changed_at, 1)})
            self._is_on, self._changed_at = False, now


OUTAGE = RedisOutage()
"""Whether Redis answers, as this process sees it: shards' runs, their queues and their writers all meet one outage."""


async def retry_while_unavailable(
    step: Callable[[], Awaitable[T]],
    *,
    stopping: Callable[[], bool] = lambda: False,
    last_try_s: float | None = None,
) -> T:
    """Return the result of a step that may be repeated, tried again for as long as Redis is unavailable.

    Once `stopping` returns true, the step is tried one last time, for `last_try_s` seconds at most (None: no bound).
    Without it, the owner bounds the wait by cancelling.

    Raises:
        Exception: one of `ledger.connect.AWAY`, from the last try.

    """
    while True:
        is_last = stopping()
        tried_at = time.monotonic()
        try:
            async with asyncio.timeout(last_try_s if is_last else None):
                result = await step()
        except AWAY as error:
            if is_last:
                raise
            if is_cancelled():  # redis-py may have swallowed it
                raise asyncio.CancelledError from None
            OUTAGE.begin(error, tried_at=tried_at)
            await asyncio.sleep(RETRY_DELAY_S)
        else:
            OUTAGE.end(tried_at=tried_at)
            return result
