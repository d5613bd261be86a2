"""Tells a failing endpoint from a failing row, together with all workers, and lets everybody wait out a storm."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from ledger.cancellation import is_cancelled
from ledger.connect import AWAY
from ledger.scripts import load_script

REPORT_EVERY_S = 0.5
"""How often a turn says what it saw."""
WINDOW_S, LEAST_FAILURES, SHARE = 10.0, 10, 0.5
"""A storm: at least so many failures of reads or of writes in the window, and at least this share of them."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 30.0
"""Pauses of a storm: the first, doubled each time that a probe fails, up to the longest."""
WELL_FOR_S = 30.0
"""After a success, the endpoint counts as well for so long: a row that then fails each time is to blame itself."""
RETRY_DELAY_S = 900.0
"""Longest storm that no row is failed for, seconds."""


def health_key(limit_key: str) -> str:
    """Name the health of the endpoint that the limit is for."""
    return f"{limit_key}:health"


class CircuitBreaker:
    """What one turn saw of an endpoint, and what all turns saw together."""

    def __init__(self, redis: Redis, limit_key: str) -> None:
        self._report = load_script(redis, "report", package="ratelimit")
        self._keys = [health_key(limit_key), limit_key]
        self._seen = [0, 0, 0, 0]

    def saw(self, *, write: bool, well: bool) -> None:
        """Note whether a read or a write was answered as a working endpoint would answer it."""
        self._seen[2 * write + (not well)] += 1

    async def run(self) -> None:
        """Say every half second what was seen, until cancelled; while Redis is away nothing is sent anyway."""
        while not is_cancelled():
            await asyncio.sleep(REPORT_EVERY_S)
            if any(self._seen):
                await self._say()

    async def row_at_fault(self, *, write: bool) -> bool:
        """Tell whether a row whose reads or writes keep failing is to blame, as those of others succeed."""
        verdict = await self._say()
        return verdict is not None and bool(verdict[write])

    async def _say(self) -> list[int] | None:
        seen, self._seen = self._seen, [0, 0, 0, 0]
        bounds = [WINDOW_S, LEAST_FAILURES, SHARE, FIRST_PAUSE_S, LONGEST_PAUSE_S, WELL_FOR_S, RETRY_DELAY_S]
        try:
            verdict: list[int] = await self._report(self._keys, [*seen, *bounds])
        except AWAY:
            self._seen = [a + b for a, b in zip(self._seen, seen, strict=True)]
            return None
        return verdict
