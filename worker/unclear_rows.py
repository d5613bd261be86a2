"""Holds rows back whose 404 may be the URL's, until another row's answer tells what it means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from completions.errors import StopJob
from worker.checked_api import CheckedApi, UrlUnclear
from worker.row_queue import ClaimedRow, RowQueue

MOST_UNCLEAR = 4
"""Rows without any that was found, after which the URL is taken for wrong."""
ELSEWHERE_S, LOOK_AGAIN_S = 5.0, 0.25
"""Longest wait, once no other row is left, for what other shards of the job find at the same time."""


class UnclearRows:
    """The rows of one run that are held back: without an outcome, a try or, unless it is kept, a claim.

    They are asked for again once another completion is known to exist. `stop_job` pauses the job where that does not
    happen; `pause_for` waits so many seconds, or raises HandBack when the run drains.
    """

    def __init__(
        self,
        queue: RowQueue,
        api: CheckedApi,
        *,
        stop_job: Callable[[StopJob], Awaitable[None]],
        pause_for: Callable[[float], Awaitable[None]],
        has_other_shards: bool,
    ) -> None:
        self._queue = queue
        self._api = api
        self._stop_job = stop_job
        self._pause_for = pause_for
        self._has_other_shards = has_other_shards
        self._held: list[tuple[ClaimedRow, UrlUnclear]] = []

    def __len__(self) -> int:
        """Return how many rows are held back."""
        return len(self._held)

    async def hold(self, row: ClaimedRow, unclear: UrlUnclear, *, keeps_claim: bool) -> None:
        """Hold a row back while others are tried; pause the job where so many are unclear."""
        if not keeps_claim:
            self._queue.done(row)
        self._held.append((row, unclear))
        if len(self._held) >= MOST_UNCLEAR:
            await self._stop()

    def resume(self) -> None:
        """Return rows to the queue once this process found another completion."""
        for row, unclear in self._held:
            if self._api.knows_another(row.patch.completion_id, write=unclear.write):
                self._resume_all()
                return

    async def decide(self) -> None:
        """Return the rows to the queue once any shard of the job found a completion; pause the job where none does.

        Raises:
            HandBack: the run ended meanwhile.

        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (ELSEWHERE_S if self._has_other_shards else 0.0)
        while self._held:
            row, unclear = self._held[-1]
            if await self._api.another(row.patch.completion_id, write=unclear.write):
                self._resume_all()
            elif loop.time() > deadline:
                await self._stop()
            else:
                await self._pause_for(LOOK_AGAIN_S)

    def _resume_all(self) -> None:
        held, self._held = self._held, []
        for row, _ in held:
            self._queue.postpone(row, 0.0, keeps_claim=True)  # it was released or kept when the row was held

    async def _stop(self) -> None:
        held, self._held = self._held, []
        if held:
            await self._stop_job(held[-1][1].stop)
