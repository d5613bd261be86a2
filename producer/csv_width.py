"""Finds out why a row of CSV has another number of cells than the header."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_OTHER_QUOTES = "\u201c\u201d\u201e\u2018\u2019"


def width_problem(cells: Sequence[str], width: int, delimiter: str) -> str:
    """Return what is wrong with a row of so many cells, with what to do where that is plain."""
    found = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    advice = _advice(cells, width, delimiter)
    return f"the row has {found}; the header has {width}{advice and '; '}{advice}"


def _advice(cells: Sequence[str], width: int, delimiter: str) -> str:
    if len(cells) == 1 < width and cells[0].count(delimiter) >= width - 1:
        return "it stands within quotes as a whole; put each cell in quotes of its own"
    if any(cell.endswith("\\") for cell in cells[:-1]):
        return "a backslash does not keep a cell together; put the cell in quotes"
    if len(cells) > width and any(char in cell for cell in cells for char in _OTHER_QUOTES):
        return 'only straight quotes (") keep a cell together'
    return ""
