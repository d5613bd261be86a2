"""Decides what became of an update whose reply did not show what was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ledger.codec import BeforeImage
from ledger.row import Metadata, Outcome
from ledger.settlements import Settlement
from worker import row_failures
from worker.row_calls import RowCalls
from worker.row_change import RowChange
from worker.row_tries import RowTries
from worker.update import Shown, Unconfirmed, Update


class Confirmation:
    """What a row's write came to, by a read. `sent` is the update in question, None where there is none."""

    def __init__(
        self,
        change: RowChange,
        calls: RowCalls,
        tries: RowTries,
        *,
        journal: Callable[[BeforeImage], Awaitable[None]],
    ) -> None:
        self._change = change
        self._calls = calls
        self._tries = tries
        self._journal = journal
        self.sent: Unconfirmed | None = None

    async def settle(self, sent: Unconfirmed) -> Settlement:
        """Let one read decide how the row ended.

        Raises:
            Refusal: the read did not succeed, or shows that nothing was written, or shows no metadata.

        """
        read = await self._calls.read()
        if read.metadata is None:
            read = sent.reply
        if read.metadata is None:
            raise row_failures.update_shows_nothing(read.request_id)
        shown = sent.update.shown(read.metadata)
        if shown is not Shown.BEFORE:
            self._change.wrote = (sent.update.before, read.metadata)
        if shown is Shown.AS_SENT:
            return self.confirmed("the reply did not show what was sent; a read found the metadata in place")
        if shown is Shown.KEPT:
            return self._kept(sent.update.kept(read.metadata), read.request_id)
        if shown is Shown.OTHER:
            return await self._altered(sent, read.metadata, read.request_id)
        if sent.shown in (Shown.BEFORE, None):
            self.sent = None  # nothing seems to have been written
        raise row_failures.update_not_kept(read.request_id)

    async def settle_by_reply(self) -> Settlement | None:
        """Return how the row ended where reads fail and the reply itself showed a change; None where it showed none."""
        sent = self.sent
        if sent is not None and (replied := sent.reply.metadata) is not None:
            if sent.shown is Shown.OTHER:
                return await self._altered(sent, replied, sent.reply.request_id)
            if sent.shown is Shown.KEPT:
                return self._kept(sent.update.kept(replied), sent.reply.request_id)
        return None

    async def end_altered(self, update: Update, altered: dict[str, str | None], request_id: str) -> Settlement:
        """Store what the service holds beside the first image, so that an undo counts it as this job's own."""
        change = self._change
        if change.options.journal and change.image is not None:
            change.image = BeforeImage(change.row, change.image.metadata, altered)
            await self._journal(change.image)
        return self._tries.failed(row_failures.value_altered(update.described(altered), request_id))

    def confirmed(self, what: str) -> Settlement:
        """Return that the row is updated, as a read showed."""
        return Settlement(self._change.row, Outcome.UPDATED, self._tries.detail(row_failures.confirmed_by_read(what)))

    async def _altered(self, sent: Unconfirmed, held: Metadata, request_id: str) -> Settlement:
        """Settle a row whose completion holds neither what was sent nor what was there before."""
        update, replied = sent.update, sent.reply.metadata
        altered = update.altered(held)
        if replied is None or sent.shown is Shown.BEFORE:
            return await self.end_altered(update, altered, request_id)
        # what the reply showed as it was sent, somebody else has changed since
        at_once = update.altered(replied)
        if altered := {key: value for key, value in altered.items() if key in at_once}:
            return await self.end_altered(update, altered, request_id)
        if kept := update.kept(replied):
            return self._kept(kept, sent.reply.request_id)
        return Settlement(self._change.row, Outcome.UPDATED)

    def _kept(self, keys: list[str], request_id: str) -> Settlement:
        return self._tries.failed(row_failures.keys_not_removed(keys, request_id))
