"""Decides how a row of a plan ends: whether a write would change its completion, or why it could not be made."""

from __future__ import annotations

from ledger.job import Mode
from ledger.patching import apply_patch
from ledger.row import MAX_PAIRS, Metadata, Outcome, Patch
from worker import row_failures
from worker.read_run import Conclude, Conclusion


def planning(mode: Mode) -> Conclude:
    """Return what decides how the rows of a plan in this mode end.

    Of a row that would change, the image is kept: with its patch it is the row's before and after.
    """

    async def conclude(patch: Patch, held: Metadata) -> Conclusion:
        after = apply_patch(held, patch.metadata, mode)
        if after == held:
            return Conclusion(Outcome.UNCHANGED)
        if len(after) > MAX_PAIRS:
            raise row_failures.too_many_pairs(len(after))
        return Conclusion(Outcome.WOULD_CHANGE, keeps_image=True)

    return conclude
