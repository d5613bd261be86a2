"""Reads a row of a canary back after its write, which counts as an update only once a read shows it."""

from __future__ import annotations

from collections.abc import Callable

from completions.errors import Retryable
from ledger.clock import Clocks
from ledger.codec import Detail, Tries
from ledger.row import Metadata, Outcome
from ledger.settlements import Settlement
from worker import row_failures
from worker.row_calls import RowCalls
from worker.service import Service
from worker.stale_reads import StaleRead, StaleReads
from worker.update import Shown, Update


class ReadBack:
    """The read that has to show a row's write; `update_of` returns the update of a completion that holds what is read.

    It is sent once an update is visible by what the probe found. One that shows the state before is believed to lag for
    as long as any read is (`Service.stale_s`), and is made again. `written_at` is 0 before the write; `wrote` is what
    the completion held before and after it, once a read showed it.
    """

    def __init__(
        self,
        row: int,
        calls: RowCalls,
        update_of: Callable[[Metadata], Update],
        *,
        tried: Tries | None,
        service: Service,
        clocks: Clocks,
    ) -> None:
        self._row = row
        self._calls = calls
        self._update_of = update_of
        self._service = service
        self._clocks = clocks
        self.written_at = tried.written_at if tried else 0.0
        self.stale = StaleReads(None, tried if self.is_due else None, lag_s=service.stale_s, clocks=clocks)
        self.wrote: tuple[Metadata | None, Metadata] | None = None

    @property
    def is_due(self) -> bool:
        """Whether the row was written, so that only the read is left."""
        return self.written_at > 0

    def begin(self) -> None:
        """Record that the row was written by now."""
        self.written_at = self._clocks.read().wall

    async def try_once(self) -> Settlement:
        """Read and return that the row is updated.

        Raises:
            StaleRead: a read need not show the write yet, or shows the state before and may lag.
            Refusal: the request did not succeed, or shows something else.

        """
        self._check_time()
        read = await self._calls.read()
        if read.metadata is None:
            raise row_failures.update_shows_nothing(read.request_id)
        update = self._update_of(read.metadata)
        self._check(update, read.metadata, read.request_id)
        self.wrote = (update.before, read.metadata)
        return Settlement(self._row, Outcome.UPDATED)

    async def give_up(self, final_failure: Detail) -> Settlement:
        """Return that the row failed, as reads did: nobody knows what became of its write."""
        return Settlement(self._row, Outcome.FAILED, final_failure)

    def note_ambiguous(self, refusal: Retryable) -> None:
        """Do nothing: a read leaves nothing in doubt."""

    def _check_time(self) -> None:
        age_s = max(0.0, self._clocks.read().wall - self.written_at)
        if (left_s := self._service.visible_after_s - age_s) > 0:
            raise StaleRead(left_s)

    def _check(self, update: Update, shown: Metadata, request_id: str) -> None:
        how = update.shown(shown)
        if how is Shown.AS_SENT:
            return
        if how is Shown.KEPT:
            raise row_failures.keys_not_removed(update.kept(shown), request_id)
        if how is Shown.BEFORE and (wait_s := self.stale.next_wait_s()):
            raise StaleRead(wait_s)
        raise row_failures.read_back_differs(update.described(update.altered(shown)), request_id)
