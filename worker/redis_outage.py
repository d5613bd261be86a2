"""Repeats ledger steps while Redis is unavailable, and logs each outage once."""

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
    outage = RedisOutage()
    while True:
        is_last = stopping()
        try:
            async with asyncio.timeout(last_try_s if is_last else None):
                result = await step()
        except AWAY as error:
            if is_last:
                raise
            if is_cancelled():  # redis-py may have swallowed it
                raise asyncio.CancelledError from None
            outage.begin(error)
            await asyncio.sleep(RETRY_DELAY_S)
        else:
            outage.end()
            return result


class RedisOutage:
    """Logs the begin and the end of an outage, once each, as one user of Redis sees them."""

    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self, error: Exception) -> None:
        """Record that Redis does not answer, with the error that showed it."""
        if self._since is None:
            log.warning("%s Nothing is sent meanwhile.", describe(error))
            self._since = time.monotonic()

    def end(self) -> None:
        """Record that Redis answers."""
        if self._since is not None:
            log.info("Redis is back", extra={"seconds": round(time.monotonic() - self._since, 1)})
            self._since = None
