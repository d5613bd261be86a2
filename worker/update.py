"""Compares an answer with the update that was sent; without I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from completions.reply import Reply
from ledger.job_spec import Mode
from ledger.records import Record
from ledger.row import MAX_PAIRS, Metadata
from ledger.service_profile import PairLimit
from worker.row_failures import first_few

Body = Mapping[str, str | None]
"""Metadata as an update names it; null asks for a key's removal."""


class Shown(enum.Enum):
    """How an answer compares with what was sent. `KEPT`: all of it is there, and keys that were to be removed."""

    AS_SENT = enum.auto()
    BEFORE = enum.auto()
    KEPT = enum.auto()
    OTHER = enum.auto()


class Update(NamedTuple):
    """An update that was sent; `before` is what the completion held, None where it was not read.

    `record` holds former writes; a state from before one of them is older still.
    """

    before: Metadata | None
    after: Metadata
    patch: Mapping[str, str | None]
    mode: Mode
    record: Record | None = None

    def shown(self, metadata: Metadata) -> Shown:
        """Return how the metadata of an answer compares with the update."""
        if not self.altered(metadata):
            return Shown.KEPT if self.kept(metadata) else Shown.AS_SENT
        is_older = self.record is not None and self.record.step_shown(metadata) is not None
        return Shown.BEFORE if metadata == self.before or is_older else Shown.OTHER

    def body(self, nulls: PairLimit | None) -> dict[str, str | None]:
        """Return what to send: the whole map, with null for each key to be removed where only null removes one.

        Where pairs with null may count against those that are allowed, no more are named than there is room for.
        """
        if nulls is None:
            return dict(self.after)
        known = self.patch.keys() if self.before is None else self.before.keys()
        gone = sorted(known - self.after.keys())
        if nulls is not PairLimit.RESULT:
            gone = gone[: max(0, MAX_PAIRS - len(self.after))]
        return dict(self.after) | dict.fromkeys(gone)

    def named(self) -> dict[str, str | None]:
        """Return what to send where nothing may be carried along: the patch's keys, null for those to be removed."""
        before = self.before or {}
        return {key: value for key, value in self.patch.items() if value is not None or key in before}

    def contradicts(self, metadata: Metadata | None) -> bool:
        """Return whether an answer shows that the completion held something else than was taken for granted.

        It shows other keys than the patch's otherwise, or one to be removed that was not there; or it shows nothing.
        """
        if metadata is None:
            return True
        before = self.before or {}
        others = before.keys() | {key for key in metadata if self.patch.get(key) is None}
        return any(metadata.get(key) != before.get(key) for key in others - self.named().keys())

    @property
    def removes(self) -> bool:
        """Whether keys are to be removed; where nothing was read, they may be."""
        if self.before is None:
            return self.mode is Mode.REPLACE or None in self.patch.values()
        return not self.before.keys() <= self.after.keys()

    def kept(self, metadata: Metadata) -> list[str]:
        """Return the keys that the service kept although they were to be removed, sorted.

        In a merge, a key that the patch does not name was not to be removed: somebody else added it meanwhile.
        """
        extra = metadata.keys() - self.after.keys()
        return sorted(extra & self.patch.keys() if self.mode is Mode.MERGE else extra)

    def altered(self, metadata: Metadata) -> dict[str, str | None]:
        """Return what the answer shows of each key that is neither as sent nor merely kept; None: no such key."""
        held = {key: metadata.get(key) for key, value in self.after.items() if metadata.get(key) != value}
        before = self.before or {}
        changed = (key for key in self.kept(metadata) if before.get(key, metadata[key]) != metadata[key])
        return held | {key: metadata[key] for key in changed}

    def dropped(self, metadata: Metadata) -> dict[str, str | None]:
        """Return the empty values that are gone, as `altered` does, where everything else is there as it was sent."""
        gone = [key for key, value in self.after.items() if not value and key not in metadata]
        is_else_as_sent = metadata | dict.fromkeys(gone, "") == self.after and metadata != self.before
        return dict.fromkeys(gone) if is_else_as_sent else {}

    def described(self, altered: Mapping[str, str | None]) -> str:
        """Return the altered keys in words, with lengths in place of values."""
        return first_few([f"{key} ({self._lengths(key, held)})" for key, held in sorted(altered.items())])

    def _lengths(self, key: str, held: str | None) -> str:
        sent = self.after.get(key)
        asked = "was to be removed" if sent is None else f"sent {len(sent)} characters"
        return f"{asked}, {'is gone' if held is None else f'holds {len(held)}'}"


class Unconfirmed(NamedTuple):
    """An update whose reply did not show what was sent; a read decides what became of it."""

    update: Update
    reply: Reply

    @property
    def shown(self) -> Shown | None:
        """What the reply showed; None where it showed no metadata."""
        return None if self.reply.metadata is None else self.update.shown(self.reply.metadata)
