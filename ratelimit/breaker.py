"""The circuit breaker: tells a failing endpoint from a failing row by what all workers saw, and pauses all of them."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from ledger.cancellation import is_cancelled
from ledger.clock import server_time
from ledger.connect import AWAY
from ledger.scripts import load_script

REPORT_EVERY_S = 0.5
"""How often a shard's run reports its requests."""
WINDOW_S, LEAST_FAILURES, SHARE = 10.0, 10, 0.5
"""A storm: at least so many failures of reads or of writes in the window, and at least this share of them."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 30.0
"""Pauses of a storm: the first, doubled each time that a probe fails, up to the longest."""
WELL_FOR_S = 30.0
"""After a success, the endpoint counts as well for so long: a row that then fails each time is to blame itself."""
RETRY_DELAY_S = 900.0
"""Longest storm that no row is failed for, seconds."""
REPORTED_WITHIN_S = 180.0
"""Age of the last report past which nobody sends requests: a probe comes after the longest pause, and may time out."""


def health_key(limit_key: str) -> str:
    """Return the key of the health of the endpoint that the limit is for."""
    return f"{limit_key}:health"


async def failing_s(redis: Redis, limit_key: str) -> float:
    """Return for how many seconds every read or every write has failed; 0 where one succeeded or nobody sends any."""
    facts: list[Any] = await redis.hmget(health_key(limit_key), ["at", "read_since", "write_since"])
    at, *since = (float(value or 0) for value in facts)
    now = await server_time(redis)
    first = min((moment for moment in since if moment > 0), default=now)
    return now - first if now - at < REPORTED_WITHIN_S else 0.0


class CircuitBreaker:
    """Reports what one shard's run saw of an endpoint, and reads what all of them saw together."""

    def __init__(self, redis: Redis, limit_key: str) -> None:
        self._report = load_script(redis, "report", package="ratelimit")
        self._keys = [health_key(limit_key), limit_key]
        self._seen = [0, 0, 0, 0]

    def record(self, *, write: bool, succeeded: bool) -> None:
        """Count a read or a write by whether the answer was one of a working endpoint."""
        self._seen[2 * write + (not succeeded)] += 1

    async def run(self) -> None:
        """Report every half second what was recorded, until cancelled; while Redis is away nothing is sent anyway."""
        while not is_cancelled():
            await asyncio.sleep(REPORT_EVERY_S)
            if any(self._seen):
                await self._send_report()

    async def row_at_fault(self, *, write: bool) -> bool:
        """Return whether a row whose reads or writes keep failing is at fault, as those of others succeed."""
        verdict = await self._send_report()
        return verdict is not None and bool(verdict[write])

    async def _send_report(self) -> list[int] | None:
        seen, self._seen = self._seen, [0, 0, 0, 0]
        bounds = [WINDOW_S, LEAST_FAILURES, SHARE, FIRST_PAUSE_S, LONGEST_PAUSE_S, WELL_FOR_S, RETRY_DELAY_S]
        try:
            verdict: list[int] = await self._report(self._keys, [*seen, *bounds])
        except AWAY:
            self._seen = [a + b for a, b in zip(self._seen, seen, strict=True)]
            return None
        return verdict
