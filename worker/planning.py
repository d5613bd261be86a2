"""Decides how a row of a plan ends: whether a write would change its completion, or why it could not be made."""

from __future__ import annotations

from completions.errors import RowFailed
from ledger.job_spec import Mode
from ledger.patching import apply_patch
from ledger.row import MAX_PAIRS, Metadata, Outcome, Patch
from worker import row_failures
from worker.read_run import Conclusion


class Planning:
    """Ends the rows of a plan.

    Of a row that would change, the image is kept: with its patch it is the row's before and after.
    """

    assumes_writes = True

    def __init__(self, mode: Mode) -> None:
        self._mode = mode

    def is_clear(self, _patch: Patch, _seen: Metadata) -> bool:
        """Return true: a plan is of what a selection saw."""
        return True

    async def conclude(self, _row: int, patch: Patch, held: Metadata) -> Conclusion:
        """Return whether the row would change; raises RowFailed where it could not."""
        after = apply_patch(held, patch.metadata, self._mode)
        if after == held:
            return Conclusion(Outcome.UNCHANGED)
        if len(after) > MAX_PAIRS:
            raise row_failures.too_many_pairs(len(after))
        return Conclusion(Outcome.WOULD_CHANGE, keeps_image=True)

    async def missing(self, _row: int, _patch: Patch, refusal: RowFailed) -> Conclusion:
        """Raise the refusal: a write would meet it, too."""
        raise refusal
