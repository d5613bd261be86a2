"""The values a row of the input becomes, and how they travel in a shard."""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

MAX_PAIRS = 16
"""Pairs a completion's metadata may hold. Source: OpenAPI `Metadata` schema, prose (contract section 1)."""
MAX_KEYS = 256
"""Keys that a row may name, those to remove included: it bounds a row, of which every worker holds hundreds."""
MAX_KEY_CHARS = 64
"""Characters in a metadata key. Source: as `MAX_PAIRS`."""
MAX_VALUE_CHARS = 512
"""Characters in a metadata value. Source: as `MAX_PAIRS`."""

Metadata = dict[str, str]
"""A completion's metadata as the API returns it."""


class HasLine(Protocol):
    """A row of the input."""

    @property
    def line(self) -> int:
        """The 1-based line of the input where the row starts."""


class Patch(msgspec.Struct, frozen=True, array_like=True):
    """One completion to change: the unit that is applied and settled.

    `line` is the 1-based line of the input where the row starts (of its first row, where several were folded).
    A value of None asks for the key's removal. Where `expect` is given, the row is carried out only if each of its
    keys still holds this value (None: is not there), or already the one asked for; a verify accepts either. `seen` is
    the metadata that a selection saw, so that a plan does not read it again; other jobs read the completion all the
    same.
    """

    line: int
    completion_id: str
    metadata: dict[str, str | None]
    expect: dict[str, str | None] | None = None
    seen: Metadata | None = None


class Rejection(msgspec.Struct, frozen=True, array_like=True):
    """One row of the input that can never be sent, and why.

    `column` names the CSV column or JSON field, where one is to blame. `cells` is the row as it was read, for the
    report: the cells of a CSV row, or the one line of a JSONL file.
    """

    line: int
    column: str | None
    reason: str
    cells: list[str]


class UnsentRow(msgspec.Struct, frozen=True, array_like=True):
    """One valid row for which nothing is sent: it changes nothing, or was folded into an earlier row of the same id.

    `folded_into` is the line of that row, None where the row changes nothing.
    """

    patch: Patch
    folded_into: int | None = None

    @property
    def line(self) -> int:
        """The 1-based line of the input where the row starts."""
        return self.patch.line


class Outcome(enum.IntEnum):
    """How a row ended; 0 is a row that has not ended. The value is the byte stored for it, and never changes."""

    PENDING = 0
    UPDATED = 1
    UNCHANGED = 2
    FAILED = 3
    REJECTED = 4
    DRIFTED = 5
    CANCELLED = 6
    WOULD_CHANGE = 7

    @property
    def word(self) -> str:
        """The outcome as people read and type it."""
        return self.name.lower()


OUTCOMES = tuple(outcome.word for outcome in Outcome if outcome is not Outcome.PENDING)
"""The words of how a row can end, in the order of their bytes: the list that counts, Lua and reports go by."""
TRIED = (Outcome.UPDATED, Outcome.UNCHANGED, Outcome.FAILED, Outcome.DRIFTED, Outcome.WOULD_CHANGE)
"""How a row ends that a worker tried."""
