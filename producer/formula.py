"""Keeps spreadsheets from running a cell of a report as a formula, and takes the guard off when it is read back."""

from __future__ import annotations

import re

_RISKY = re.compile(r"'*[=+\-@\t\r]").match  # what OWASP's page on CSV injection lists
_GUARDED = re.compile(r"'+[=+\-@\t\r]").match


def escape_cell(cell: str) -> str:
    """Put one more `'` in front of a cell that a spreadsheet would run, or that looks escaped already."""
    return "'" + cell if _RISKY(cell) else cell


def unescape_cell(cell: str) -> str:
    """Take off the `'` that `escape_cell` put there."""
    return cell[1:] if _GUARDED(cell) else cell
