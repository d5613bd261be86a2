"""Computes what a row does to its completion, where an earlier write of it may have happened; without I/O."""

from __future__ import annotations

from typing import NamedTuple

from ledger.codec import BeforeImage
from ledger.job_spec import Mode
from ledger.patching import apply_patch, holds
from ledger.records import Record
from ledger.row import Metadata, Patch
from worker.reconcile import before_image, changed_keys, foreign_keys
from worker.service import Service
from worker.update import Update


class RowOptions(NamedTuple):
    """What holds for every row of a shard. `attempts` bounds a row's tries; `name` starts each request's own id.

    `reads_back`: the rows are a canary's, so that a read has to show each write. `exact`: a row drifted also where only
    some of its keys hold what it expects.
    """

    mode: Mode
    journal: bool
    attempts: int
    name: str
    service: Service
    reads_back: bool = False
    exact: bool = False


class RowChange:
    """A row's change. `image` is the before-image that is stored for it, None where there is none.

    `in_doubt`: a write of the row may have happened that no answer confirmed. `record` holds the last settled writes to
    the completion. `wrote` is what it held before the row's write, None where it was not read, and after; None without
    a write.
    """

    def __init__(
        self,
        row: int,
        patch: Patch,
        options: RowOptions,
        *,
        image: BeforeImage | None,
        in_doubt: bool,
        record: Record | None,
    ) -> None:
        self.row = row
        self.options = options
        self.record = record
        self._patch = patch
        # an image of what had drifted was kept for the next review: nothing was written
        is_drifted = options.exact and image is not None and not holds(image.metadata, patch.expect or {}, options.mode)
        self.image = None if is_drifted else image
        self.in_doubt = self.image is not None or in_doubt
        self.wrote: tuple[Metadata | None, Metadata] | None = None

    def before(self, current: Metadata) -> Metadata:
        """Return what the completion held before the row's write, by what it holds now."""
        earlier = self.image.metadata if self.image is not None and self.in_doubt else None
        return before_image(earlier, current, self._patch.metadata, self.options.mode)

    def update(self, before: Metadata | None) -> Update:
        """Return the update of a completion that held this before; None where it was not read."""
        patch, mode = self._patch.metadata, self.options.mode
        return Update(before, apply_patch(before or {}, patch, mode), patch, mode, self.record)

    def update_of(self, current: Metadata) -> Update:
        """Return the row's update as it was sent, or will be, to a completion that holds this now."""
        return self.update(self.before(current))

    def altered_earlier(self, current: Metadata) -> tuple[Update, dict[str, str | None]] | None:
        """Return the write in doubt of which the service stored something else, and the altered keys; None without one.

        An earlier run found that out, or the read shows it: empty values that were carried along are gone.
        """
        if self.image is None or not self.in_doubt:
            return None
        update = self.update(self.image.metadata)
        altered = self.image.altered or update.dropped(current)
        if not altered or any(current.get(key) != value for key, value in altered.items()):
            return None
        return update, altered

    def changed_keys(self, current: Metadata, *, exact: bool) -> list[str]:
        """Return the keys that somebody else changed since what the row expects was read or written."""
        if self._patch.expect is None:
            return []
        differing = changed_keys if exact else foreign_keys
        return differing(current, self._patch.metadata, self._patch.expect, self.options.mode)
