"""Judges a write that is made by what a page of the list showed: whether it may be, and whether the page was right."""

from __future__ import annotations

from ledger.row import MAX_PAIRS, Metadata
from worker.service import Service
from worker.update import Update


def may_leave_out(update: Update, service: Service) -> bool:
    """Return whether an update may leave out all keys that its patch does not name, and would not fail the row.

    A key is only removed where null removes it: without carrying all others along, there is no other way.
    """
    return len(update.after) <= MAX_PAIRS and (service.nulls is not None or None not in update.patch.values())


class ListedWrite:
    """A row's last write by a page. `is_doubted`: the page was wrong, or nobody knows: a GET has to correct the image.

    `shown` is what the reply showed, where it showed the patch's keys as they were sent; None else.
    """

    def __init__(self) -> None:
        self.is_doubted = False
        self.shown: Metadata | None = None

    def check(self, update: Update, replied: Metadata | None) -> bool:
        """Return whether the reply shows the completion as the page did; else the page is doubted."""
        if not update.contradicts(replied):
            return True
        self.doubt()
        named = update.named().items()
        if replied is not None and all(replied.get(key) == value for key, value in named):
            self.shown = replied
        return False

    def doubt(self) -> None:
        """Record that the image has to be corrected before the row is settled."""
        self.is_doubted = True
