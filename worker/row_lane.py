"""Takes rows from the queue one after another, and decides what becomes of each row's claim, tries and outcome."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from completions.errors import StopJob
from ledger.codec import BeforeImage, Tries
from ledger.records import Record, next_record
from ledger.settlements import Settlement
from ledger.shards import LeasedShard
from ratelimit.limiter import HandBack
from worker.checked_api import UrlUnclear
from worker.drain import Drain
from worker.fence import ClaimLost, LeaseFence, WriteGate
from worker.read_run import Conclusions, ReadRun
from worker.row_calls import RowContext
from worker.row_change import RowOptions
from worker.row_queue import ClaimedRow, RowQueue
from worker.row_run import RowRun
from worker.stale_reads import StaleRead
from worker.unclear_rows import UnclearRows

AnyRun = RowRun | ReadRun


class RowLane:
    """Carries out a shard's rows, as many at once as there are tasks that `run` it.

    `settle` stores an outcome and returns a future of that; `stop_job` pauses the job. `tries` holds the failures of
    rows that were not settled, for the next run. `conclusions` decide how the rows of a job end that only reads; None
    for all other jobs.
    """

    def __init__(
        self,
        shard: LeasedShard,
        queue: RowQueue,
        *,
        context: RowContext,
        options: RowOptions,
        fence: LeaseFence,
        drain: Drain,
        settle: Callable[[Settlement], asyncio.Future[None]],
        stop_job: Callable[[StopJob], Awaitable[None]],
        conclusions: Conclusions | None = None,
    ) -> None:
        self._shard = shard
        self._queue = queue
        self._context = context
        self._options = options
        self._fence = fence
        self._drain = drain
        self._settle = settle
        self._stop_job = stop_job
        self._conclusions = conclusions
        self._unclear = UnclearRows(
            queue,
            context.api,
            stop_job=stop_job,
            pause_for=drain.pause_for,
            has_other_shards=shard.spec.shards > 1,
        )
        self._carried_out = 0
        """Rows that are being carried out just now."""
        self.tries: dict[int, Tries] = {}
        self._unanswered: set[int] = set()
        """Rows of which a write got no answer in this run, so that it may be applied yet."""

    async def run(self) -> None:
        """Carry out rows until none is left or the run drains.

        Raises:
            LeaseLost: another worker has the shard.
            StateLost: the job is gone.

        """
        await self._fence.wait()  # a slot that waits for the first renewal would be lost
        while not self._drain.is_draining and (claimed := await self._next()):
            self._carried_out += 1
            try:
                await self._carry_out(claimed)
            finally:
                self._carried_out -= 1

    async def _next(self) -> ClaimedRow | None:
        """Return the next row; once none is left or under way, one of those that were held back, if it is resumed."""
        self._unclear.resume()
        # completions that are missing often stand together: their file is sorted by age, and the oldest are gone
        claimed = await self._queue.next(from_afar=bool(self._unclear))
        if claimed is None and self._unclear and not (self._carried_out or self._drain.is_draining):
            with contextlib.suppress(HandBack):
                await self._unclear.decide()
                return await self._queue.next()
        return claimed

    async def _carry_out(self, claimed: ClaimedRow) -> None:
        image = self._shard.images.get(claimed.row)
        may_still_run = claimed.taken_over and (image is not None or not self._shard.spec.journal)
        run = self._new_run(claimed, image)
        try:
            try:
                ended = await run.settle()
            finally:
                self._unanswered |= {claimed.row} if run.may_still_run else set()
        except ClaimLost:
            self._keep_tries(claimed, run)
            self._queue.put_back(claimed)
        except StaleRead as stale:
            self._keep_tries(claimed, run)
            self._queue.postpone(claimed, stale.wait_s, keeps_claim=may_still_run or run.in_doubt)
        except UrlUnclear as unclear:
            self._keep_tries(claimed, run)
            await self._unclear.hold(claimed, unclear, keeps_claim=may_still_run or run.in_doubt)
        except HandBack:
            self._keep_tries(claimed, run)
            self._free(claimed, run, may_still_run=may_still_run or run.in_doubt)
        except StopJob as error:
            await self._stop_job(error)
            self._free(claimed, run, may_still_run=may_still_run or run.in_doubt)
        else:
            self._free_once_stored(ended, claimed, run, may_still_run=may_still_run or claimed.row in self._unanswered)

    def _new_run(self, claimed: ClaimedRow, image: BeforeImage | None) -> AnyRun:
        shared = (self._context, self._options, claimed.row, claimed.patch)
        gate, tried, record = self._gate(claimed), self._tries_of(claimed), claimed.record
        if self._conclusions is not None:
            return ReadRun(*shared, conclusions=self._conclusions, gate=gate, tried=tried, record=record)
        return RowRun(*shared, gate=gate, image=image, tried=tried, record=record)

    def _free_once_stored(self, ended: Settlement, claimed: ClaimedRow, run: AnyRun, *, may_still_run: bool) -> None:
        """Settle a row, and let others have its completion once the outcome is stored.

        Were it free before, a crash in between would have the row sent again, over what others have written meanwhile.
        """
        record = self._record_of(run, claimed)

        def free(stored: asyncio.Future[None]) -> None:
            if not stored.cancelled() and stored.exception() is None:
                self._queue.done(claimed, may_still_run=may_still_run, record=record)

        self._settle(ended).add_done_callback(free)

    def _free(self, claimed: ClaimedRow, run: AnyRun, *, may_still_run: bool) -> None:
        self._queue.done(claimed, may_still_run=may_still_run, record=self._record_of(run, claimed))

    def _record_of(self, run: AnyRun, claimed: ClaimedRow) -> Record | None:
        if run.wrote is None:
            return None
        shard = self._shard
        return next_record(claimed.record, shard.spec.job_id, shard.first_row + claimed.row, *run.wrote)

    def _keep_tries(self, claimed: ClaimedRow, run: AnyRun) -> None:
        if run.tries:
            self.tries[claimed.row] = run.tries

    def _tries_of(self, claimed: ClaimedRow) -> Tries | None:
        """Return how often the row failed so far, in doubt where an earlier run may have written it unseen."""
        tried = self.tries.pop(claimed.row, None) or self._shard.tries.get(claimed.row)
        if claimed.taken_over and not self._shard.spec.journal:  # with a journal, the row's image tells
            return msgspec.structs.replace(tried or Tries(0, in_doubt=True), in_doubt=True)
        return tried

    def _gate(self, claimed: ClaimedRow) -> WriteGate:
        return WriteGate(
            self._fence,
            holds_claim=lambda: self._conclusions is None and self._queue.holds(claimed.claim),
            is_stopped=lambda: self._drain.is_stopped,
        )
