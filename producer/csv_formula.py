"""Escapes cells that a spreadsheet would run as a formula, and removes the escape when a report is read back."""

from __future__ import annotations

import re

_SIGNS = r"=+\-@＝＋－＠"  # noqa: RUF001 - the full-width ones count as the others where they are typed
"""Characters that begin a formula. Source: OWASP, "CSV Injection", as are tab and line ends at the start of a cell."""
_SPLIT = r";\t\r\n"
"""Where a spreadsheet whose list separator is `;` parts a line, and, as it takes no quote within a cell for one, where
it begins a new line; a tab where the text is pasted."""
_UNGUARDED = re.compile(rf"\A(?='*[{_SIGNS}\t\r\n])|(?<=[{_SPLIT}])(?=[\"']*[{_SIGNS}])")
_looks_guarded = re.compile(rf"'+[{_SIGNS}]").match
_GUARD = re.compile(rf"\A'(?='*[{_SIGNS}\t\r\n])|(?<=[{_SPLIT}])'(?=[\"']*[{_SIGNS}])")


def escape_cell(cell: str) -> str:
    """Prefix `'` to a cell that a spreadsheet would run, or that looks escaped already."""
    return _UNGUARDED.sub("'", cell)


def unescape_cell(cell: str) -> str:
    """Remove each `'` that `escape_cell` added."""
    return _GUARD.sub("", cell)


def looks_guarded(cell: str) -> bool:
    """Return whether a cell begins as those that `escape_cell` made: with a `'` before a sign, as in `'-7`."""
    return _looks_guarded(cell) is not None
