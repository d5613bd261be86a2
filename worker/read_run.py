"""Carries out a row that is read and never written: waits for a read that is fresh, and stores how the row ended."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import NamedTuple, Protocol

from completions.errors import Retryable, RowFailed
from ledger.codec import BeforeImage, Detail, Tries
from ledger.records import Record
from ledger.row import Metadata, Outcome, Patch
from ledger.settlements import Settlement
from worker import row_failures
from worker.fence import WriteGate
from worker.row_calls import RowCalls, RowContext
from worker.row_change import RowOptions
from worker.row_tries import RowTries
from worker.stale_reads import StaleRead, StaleReads, assume_written


class Conclusion(NamedTuple):
    """How a row ends, by what its completion holds; `why` becomes the detail, and an image is kept for reports."""

    outcome: Outcome
    why: RowFailed | None = None
    keeps_image: bool = False


class Conclusions(Protocol):
    """Decides how the rows of a job end that only reads."""

    @property
    def assumes_writes(self) -> bool:
        """Whether a recorded write counts that no read shows."""

    def is_clear(self, patch: Patch, seen: Metadata) -> bool:
        """Return whether the row can end by what a list showed, without a read of the completion."""

    async def conclude(self, row: int, patch: Patch, held: Metadata) -> Conclusion:
        """Return how the row ends, by its number within the shard, where its completion holds this.

        Raises:
            RowFailed: the row failed.

        """

    async def missing(self, row: int, patch: Patch, refusal: RowFailed) -> Conclusion:
        """Return how the row ends where its completion is not found, as `conclude`."""


class ReadRun:
    """One row's way to its settlement, with reads alone: nothing passes the `gate`, which never opens.

    `tried` counts its failures in earlier runs. `record` holds the last settled writes to the completion, whichever job
    made them. What a selection saw of the completion is not read again where it is clear how the row ends.
    """

    in_doubt = may_still_run = False
    wrote = None

    def __init__(
        self,
        context: RowContext,
        options: RowOptions,
        row: int,
        patch: Patch,
        *,
        conclusions: Conclusions,
        gate: WriteGate,
        tried: Tries | None,
        record: Record | None,
    ) -> None:
        self._context = context
        name = f"{options.name}-{row}"
        self._calls = RowCalls(context, gate, patch.completion_id, name=name, is_outdated=lambda: False)
        self._row = row
        self._patch = patch
        self._conclusions = conclusions
        self._tries = RowTries(context, self._calls, row, patch.completion_id, attempts=options.attempts, tried=tried)
        self._record = record
        self._stale_reads = StaleReads(record, tried, lag_s=options.service.stale_s, clocks=context.clocks)
        self._is_assumed = False

    async def settle(self) -> Settlement:
        """Carry the row out and return how it ended.

        Raises:
            StopJob: no row can succeed until its cause is corrected.
            HandBack: the run ended before the row did.
            StaleRead: the row is to begin again later.
            LeaseLost: another worker has the shard.

        """
        return await self._tries.carry_out(self)

    @property
    def tries(self) -> Tries | None:
        """How often the row has failed so far, for the run that takes it up again; None where it has not."""
        tries, stale = self._tries, self._stale_reads
        if not (tries.failures or stale.count):
            return None
        return Tries(
            tries.failures,
            in_doubt=False,
            final_failure=tries.final_failure,
            stale_reads=stale.count,
            stale_since=stale.since,
        )

    async def try_once(self) -> Settlement:
        """Read the completion, unless what a list showed is clear, and return how the row ends."""
        try:
            held, conclusion = await self._conclude()
        except RowFailed as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            held, conclusion = {}, await self._conclusions.missing(self._row, self._patch, refusal)
        outcome, why, keeps_image = conclusion
        if keeps_image:
            await self._context.journal(BeforeImage(self._row, held))
        if why is None and self._is_assumed:
            why = row_failures.assumed_written()
        return Settlement(self._row, outcome, self._tries.detail(why) if why else None)

    async def _conclude(self) -> tuple[Metadata, Conclusion]:
        """Return what the completion holds and how the row ends; what only a list showed fails no row."""
        patch, conclusions = self._patch, self._conclusions
        if patch.seen is not None and conclusions.is_clear(patch, patch.seen):
            return patch.seen, await conclusions.conclude(self._row, patch, patch.seen)
        async with self._context.ahead.turn(patch.completion_id) as image:
            if image is not None and self._is_clear(image.metadata):
                with contextlib.suppress(RowFailed):
                    return image.metadata, await conclusions.conclude(self._row, patch, image.metadata)
            held = await self._read()
        return held, await conclusions.conclude(self._row, patch, held)

    def _is_clear(self, listed: Metadata) -> bool:
        return not self._stale_reads.is_stale(listed) and self._conclusions.is_clear(self._patch, listed)

    async def give_up(self, final_failure: Detail) -> Settlement:
        """Fail the row: reading changes nothing, so nothing is left to find out."""
        return Settlement(self._row, Outcome.FAILED, final_failure)

    def note_ambiguous(self, refusal: Retryable) -> None:
        """Do nothing: a read without an answer puts nothing in doubt."""

    async def _read(self) -> Metadata:
        """Return what the completion holds.

        Raises:
            StaleRead: the read lags behind a recorded write; the row is to begin again later.
            RowFailed: no answer shows the metadata, or that write is no longer known.

        """
        read = await self._calls.read()
        if read.metadata is None:
            raise row_failures.read_shows_nothing(read.request_id)
        if self._record is None or not self._stale_reads.is_stale(read.metadata):
            return read.metadata
        if wait_s := self._stale_reads.next_wait_s():
            raise StaleRead(wait_s)
        if not self._conclusions.assumes_writes:
            return read.metadata
        self._is_assumed = True
        return await assume_written(self._record, read.metadata, self._context.replay)
