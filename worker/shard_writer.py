"""Writes what a shard's rows yield to the ledger: before-images, outcomes, and what a run hands back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping

from ledger.claims import claim_of
from ledger.codec import BeforeImage, Tries
from ledger.connect import AWAY
from ledger.failures import TOO_MANY_CODE, too_many_failures
from ledger.job import Traffic
from ledger.ledger import Ledger
from ledger.row import TRIED, Outcome
from ledger.settlements import Settlement
from ledger.shards import LeasedShard
from worker.drain import Drain
from worker.group_writer import GroupWriter
from worker.lease_keeper import LeaseKeeper
from worker.row_queue import RowQueue
from worker.run_counters import RunCounters

HAND_BACK_S = 2.0
"""Bound of the wait for the renewal that a hand-back needs; a worker that ends while Redis is away goes without."""
JOURNAL_LINGER_S, JOURNAL_GROUP = 0.008, 64
SETTLE_LINGER_S, SETTLE_GROUP = 0.1, 100


class ShardWriter:
    """Groups the images and the outcomes of one run, and writes each group once the lease surely holds."""

    def __init__(
        self,
        shard: LeasedShard,
        ledger: Ledger,
        queue: RowQueue,
        *,
        keeper: LeaseKeeper,
        drain: Drain,
        counters: RunCounters,
    ) -> None:
        self._shard = shard
        self._ledger = ledger
        self._queue = queue
        self._keeper = keeper
        self._drain = drain
        self._counters = counters
        self._reported = Traffic()
        self._outcomes: Counter[Outcome] = Counter()
        self._settled = GroupWriter(self._settle, linger_s=SETTLE_LINGER_S, most=SETTLE_GROUP)
        self._journal = GroupWriter(self._keep_images, linger_s=JOURNAL_LINGER_S, most=JOURNAL_GROUP)

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start to write, in tasks of the group, and return them; they end after `finish`."""
        return [group.create_task(writer.run()) for writer in (self._journal, self._settled)]

    def finish(self) -> None:
        """Write what is left and end."""
        self._journal.finish()
        self._settled.finish()

    async def journal(self, image: BeforeImage) -> None:
        """Store a before-image; it is in the ledger when this returns, unless the row's claim was lost."""
        await asyncio.shield(self._journal.add(image))

    def settle(self, settlement: Settlement) -> asyncio.Future[None]:
        """Store an outcome with the next group and return a future of that."""
        return self._settled.add(settlement)

    async def hand_back(self, tries: Mapping[int, Tries]) -> None:
        """Record the tries and traffic that no settlement carried; without the ledger, rows are tried more often."""
        now = self._counters.traffic()
        if tries or now != self._reported:
            with contextlib.suppress(TimeoutError, *AWAY):
                async with asyncio.timeout(HAND_BACK_S):
                    await self._keeper.fence.wait()
                await self._ledger.settlements.hand_back(self._shard, tries, now)

    @property
    def summary(self) -> dict[str, int]:
        """How many rows the run settled with each outcome, and its requests, retries and 429s."""
        ended = {outcome.word: self._outcomes[outcome] for outcome in TRIED}
        now = self._counters.traffic()
        return ended | {"requests": now.requests, "retries": now.retries, "throttled": now.throttled}

    async def _keep_images(self, images: list[BeforeImage]) -> None:
        """Store the images of the rows whose claims are ours; the gate holds the other rows' writes back."""
        await self._keeper.fence.wait()
        if self._shard.spec.kind.only_reads:  # without claims: nothing is written that an image could come too late for
            await self._ledger.settlements.journal(self._shard, images, ())
            return
        while images := [image for image in images if self._queue.holds(self._claim(image.row))]:
            claims = [self._claim(image.row) for image in images]
            lost = await self._ledger.settlements.journal(self._shard, images, claims)
            if not lost:
                break
            self._queue.lose(lost)
        self._shard.images.update({image.row: image for image in images})

    def _claim(self, row: int) -> str:
        return claim_of(self._shard.spec.target, self._shard.todo[row].completion_id)

    async def _settle(self, settlements: list[Settlement]) -> None:
        await self._keeper.fence.wait()
        now = self._counters.traffic()
        await self._ledger.settlements.settle(self._shard, settlements, now)
        self._reported = now
        self._outcomes.update(settlement.outcome for settlement in settlements)
        if set(self._outcomes) == {Outcome.FAILED}:
            with contextlib.suppress(*AWAY):
                await self._keeper.renew()  # the job may have paused with this: its first rows all failed
        await self._stop_after_failures()

    async def _stop_after_failures(self) -> None:
        """Pause the job where more rows failed than its `--max-failures` allows."""
        spec = self._shard.spec
        if reason := await too_many_failures(self._ledger.redis, spec):
            await self._ledger.jobs.pause(
                spec.job_id,
                by=self._shard.worker,
                code=TOO_MANY_CODE,
                reason=reason,
                running_since=self._shard.running_since,
            )
            self._drain.stop_starting_rows()
