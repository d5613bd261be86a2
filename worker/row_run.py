"""Carries one row out and decides how it ends: read, journal, write, check the reply (docs/architecture.md)."""

from __future__ import annotations

import contextlib

from completions.errors import NotSent, Retryable, RowFailed
from ledger.codec import BeforeImage, Detail, Tries
from ledger.job_spec import Mode
from ledger.records import Record
from ledger.row import MAX_PAIRS, Metadata, Outcome, Patch
from ledger.settlements import Settlement
from worker import row_failures
from worker.confirmation import Confirmation
from worker.fence import WriteGate
from worker.listed_write import ListedWrite, may_leave_out
from worker.read_back import ReadBack
from worker.row_calls import RowCalls, RowContext
from worker.row_change import RowChange, RowOptions
from worker.row_tries import RowTries
from worker.stale_reads import LastRead, StaleRead, StaleReads, assume_written
from worker.update import Shown, Unconfirmed, Update


class RowRun:
    """One row's way to its settlement, over as many requests as it takes. Its writes pass the `gate`.

    `image` is the before-image that an earlier run stored for this row: its write may or may not have happened.
    `tried` counts its failures in earlier runs: tries may take longer than a run, and are bounded all the same.
    `record` holds the last settled writes to the completion, whichever job made them.
    """

    def __init__(
        self,
        context: RowContext,
        options: RowOptions,
        row: int,
        patch: Patch,
        *,
        gate: WriteGate,
        image: BeforeImage | None,
        tried: Tries | None,
        record: Record | None = None,
    ) -> None:
        self._context = context
        name = f"{options.name}-{row}"
        self._last = LastRead(context.clocks)
        self._calls = RowCalls(context, gate, patch.completion_id, name=name, is_outdated=self._last.is_outdated)
        self._options = options
        self._row = row
        self._patch = patch
        in_doubt = tried is not None and tried.in_doubt
        self._change = RowChange(row, patch, options, image=image, in_doubt=in_doubt, record=record)
        self.may_still_run = False
        self._tries = RowTries(context, self._calls, row, patch.completion_id, attempts=options.attempts, tried=tried)
        self._confirmation = Confirmation(self._change, self._calls, self._tries, journal=context.journal)
        self._record = record
        self._stale_reads = StaleReads(record, tried, lag_s=options.service.stale_s, clocks=context.clocks)
        self._read_back = ReadBack(
            row, self._calls, self._change.update_of, tried=tried, service=options.service, clocks=context.clocks
        )
        self._is_assumed = False
        self._listed = ListedWrite()

    async def settle(self) -> Settlement:
        """Carry the row out and return how it ended.

        Raises:
            StopJob: no row can succeed until its cause is corrected.
            HandBack: the run ended before the row did.
            StaleRead: the row is to begin again later.
            LeaseLost: another worker has the shard.

        """
        ended = await self._carry_out()
        if self._is_assumed and ended.detail is None:
            return ended._replace(detail=self._tries.detail(row_failures.assumed_written()))
        return ended

    async def _carry_out(self) -> Settlement:
        if not self._read_back.is_due:
            ended = await self._tries.carry_out(self)
            if not (self._options.reads_back and ended.outcome is Outcome.UPDATED):
                return ended
            self._change.in_doubt, self._tries.final_failure = True, None
            self._read_back.begin()
        ended = await self._tries.carry_out(self._read_back)
        self._change.wrote = self._read_back.wrote
        return ended

    @property
    def in_doubt(self) -> bool:
        """Whether a write of the row may have happened that no answer confirmed."""
        return self._change.in_doubt

    @property
    def tries(self) -> Tries | None:
        """How often the row has failed so far, for the run that takes it up again; None where it has not."""
        tries, back = self._tries, self._read_back
        stale = back.stale if back.is_due else self._stale_reads
        if not (tries.failures or stale.count or back.is_due):
            return None
        return Tries(tries.failures, self.in_doubt, tries.final_failure, stale.count, stale.since, back.written_at)

    @property
    def wrote(self) -> tuple[Metadata | None, Metadata] | None:
        """What the completion held before the row's write, None where it was not read, and after; None without one."""
        return self._change.wrote

    async def try_once(self) -> Settlement:
        """Read, journal, write and check the reply; return how the row ended."""
        if self._confirmation.sent is None:
            if self._must_read():
                await self._read()
                await self._check_is_fresh()
                if (
                    ended := await self._corrected()
                    or await self._altered_earlier()
                    or self._already_there()
                    or await self._drifted()
                ):
                    return ended
            update = await self._prepare()
            is_listed = self._last.is_listed
            reply = await self._calls.update(update.named() if is_listed else update.body(self._options.service.nulls))
            if is_listed and not self._listed.check(update, reply.metadata):
                self._change.in_doubt, self._last.metadata = True, None
                raise NotSent  # the try begins again, with a GET
            if self._options.service.reads_confirm and update.removes:
                reply = reply._replace(metadata=None)
            sent = Unconfirmed(update, reply)
            if sent.shown is Shown.AS_SENT and reply.metadata is not None:
                self._change.wrote = (update.before, reply.metadata)
                return Settlement(self._row, Outcome.UPDATED)
            self._change.in_doubt, self._confirmation.sent = True, sent
        return await self._confirmation.settle(self._confirmation.sent)

    def _must_read(self) -> bool:
        if self._last.metadata is not None:
            return self._last.is_old
        return self._options.mode is Mode.MERGE or self._options.journal or self.in_doubt

    async def _read(self) -> None:
        """Read what the completion holds; it stays unknown where the answer shows none and none is needed."""
        async with self._context.ahead.turn(self._patch.completion_id) as image:
            if image is not None and self._may_use(image.metadata):
                self._last.record(image.metadata, sent_at=image.sent_at, is_listed=True)
                return
            read = await self._calls.read()
        if read.metadata is None and (self._options.mode is Mode.MERGE or self._options.journal):
            raise row_failures.read_shows_nothing(read.request_id)
        self._last.record(read.metadata, sent_at=self._calls.sent_at)

    def _may_use(self, listed: Metadata) -> bool:
        """Return whether to go by what a page showed; what would end the row but as unchanged is read by a GET."""
        if self.in_doubt or self._options.reads_back or self._stale_reads.is_stale(listed):
            return False
        is_drifted = bool(self._change.changed_keys(listed, exact=self._options.exact))
        return not is_drifted and may_leave_out(self._change.update(listed), self._options.service)

    async def _corrected(self) -> Settlement | None:
        """Store the keys beside the patch's as a GET shows them, where a page was wrong; settle the row if written."""
        change = self._change
        if not self._listed.is_doubted or self._last.metadata is None or change.image is None:
            return None
        change.image = BeforeImage(self._row, change.before(self._last.metadata))
        if self._options.journal:
            await self._context.journal(change.image)
        self._listed.is_doubted = False
        if self._listed.shown is None:
            return None
        change.wrote = (change.before(self._listed.shown), self._listed.shown)
        return self._confirmation.confirmed(
            "the reply showed another state than a page of the list had; a read corrected what was"
        )

    async def _altered_earlier(self) -> Settlement | None:
        """Settle a row whose write is in doubt, and of which the service stored something else."""
        if self._last.metadata is None or (found := self._change.altered_earlier(self._last.metadata)) is None:
            return None
        return await self._confirmation.end_altered(*found, "")

    async def _check_is_fresh(self) -> None:
        """Postpone the row while its read shows the state before a recorded write; after that, take the write as done.

        Raises:
            StaleRead: the row is to begin again later; one whose own write is in doubt keeps its claim and waits here.
            NotSent: it has waited here.
            RowFailed: that write is no longer known.

        """
        if self._record is None or self._last.metadata is None or not self._stale_reads.is_stale(self._last.metadata):
            return
        if wait_s := self._stale_reads.next_wait_s():
            if not self.in_doubt:
                raise StaleRead(wait_s)
            self._last.metadata = None
            await self._context.pause_for(wait_s)
            raise NotSent
        self._last.metadata = await assume_written(self._record, self._last.metadata, self._context.replay)
        self._is_assumed = True

    def _already_there(self) -> Settlement | None:
        """Settle a row that holds what it should: as updated where a write of ours was in doubt, else as unchanged."""
        if (current := self._last.metadata) is None:
            return None
        update = self._change.update_of(current)
        if current != update.after:
            return None
        ours = self.in_doubt and (self._change.image is None or update.before != current)
        if not ours:
            return Settlement(self._row, Outcome.UNCHANGED)
        self._change.wrote = (update.before, current)
        return self._confirmation.confirmed("an answer was lost; a read found the metadata in place")

    async def _drifted(self) -> Settlement | None:
        """Settle a row as drifted where somebody else changed it since what it expects was read or written.

        Where a write of ours is in doubt, keys may hold what is asked for by our own doing. Of a row that somebody
        reviewed, what it holds now is kept for the next review; an image that was read before a write is not replaced.
        """
        current = self._last.metadata or {}
        keys = self._change.changed_keys(current, exact=self._options.exact and not self.in_doubt)
        if not keys:
            return None
        if self._options.exact and not self.in_doubt:
            await self._context.journal(BeforeImage(self._row, current))
        return Settlement(self._row, Outcome.DRIFTED, self._tries.detail(row_failures.drifted(keys)))

    async def _prepare(self) -> Update:
        """Return what to send, once it can be sent and the before-image is stored."""
        if self._last.metadata is None:
            return self._change.update(None)
        before = self._change.before(self._last.metadata)
        update = self._change.update(before)
        if len(update.after) > MAX_PAIRS:
            raise row_failures.too_many_pairs(len(update.after))
        image = BeforeImage(self._row, before)
        if self._options.journal and image != self._change.image:
            await self._calls.journal(image)
        self._change.image = image
        return update

    async def give_up(self, final_failure: Detail) -> Settlement:
        """Fail the row, after one more read where a write may have happened all the same."""
        if self.in_doubt:
            with contextlib.suppress(Retryable, RowFailed):
                await self._read()
                if ended := await self._corrected() or await self._altered_earlier() or self._already_there():
                    return ended
        by_reply = await self._confirmation.settle_by_reply()
        return by_reply or Settlement(self._row, Outcome.FAILED, final_failure)

    def note_ambiguous(self, refusal: Retryable) -> None:
        """Record that a write may have happened, or may yet happen, so that the completion is read again."""
        if self._last.is_listed:
            self._listed.doubt()
        self._change.in_doubt, self._last.metadata = True, None
        self.may_still_run = self.may_still_run or refusal.may_still_run
