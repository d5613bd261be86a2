"""The errors of an input: of the whole file, or of one row."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from config.errors import RelabelError
from ledger.row import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_KEPT_CHARS = 16 * 1024
"""Characters of a rejected row that are kept for the report; each cell counts as one more."""


class UnreadableFile(RelabelError):
    """The input cannot be trusted as a whole, so nothing of it is used.

    The message says what is wrong, where, and what to do next. `line` counts physical lines from 1; `column` is the
    number of the cell in its row, from 1, or the column's name.
    """

    code = "unreadable_file"

    def __init__(self, message: str, *, line: int | None = None, column: int | str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class EmptyFile(UnreadableFile):
    """There is nothing in the file; beside others, as the empty parts that Spark writes, it is passed over."""


class BadRow(Exception):
    """One row can never be sent; becomes a `Rejection` of the same `column` and `reason`.

    The reason never shows a metadata value or a whole id: both may be customer data, and reasons end up in logs.
    """

    def __init__(self, column: str | None, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason

    def rejection(self, line: int, cells: Iterable[str]) -> Rejection:
        """Return the rejection of the row, with its cells up to the limit."""
        return Rejection(line, self.column, self.reason, list(_clipped(cells)))


def _clipped(cells: Iterable[str]) -> Iterable[str]:
    room = MAX_KEPT_CHARS
    for cell in islice(cells, MAX_KEPT_CHARS):
        if room <= 0:
            return
        yield cell[:room]
        room -= len(cell) + 1
