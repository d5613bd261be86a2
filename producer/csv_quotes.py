"""Finds the quoting error of a CSV row that the csv module refused."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Quoting(enum.Enum):
    """The kinds of quoting error."""

    UNCLOSED = "a quote is never closed"
    TEXT_AFTER_QUOTE = "text stands after a closing quote"
    BARE_CR = "a line ends in a bare CR"
    SOUND = "nothing"


class QuoteFault(NamedTuple):
    """A quoting error, and where its cell begins: `line` counts from 0 within the row, `cell` from 1."""

    kind: Quoting
    line: int
    cell: int


def find_fault(text: str, delimiter: str = ",") -> QuoteFault:
    """Return the first place in a row's text that breaks the csv module's rules."""
    line, cell, at = 0, 1, 0
    while at < len(text):
        start = line
        if text[at] == '"':
            end = _closing_quote(text, at + 1)
            if end < 0:
                return QuoteFault(Quoting.UNCLOSED, start, cell)
            line += text.count("\n", at, end)
            at = end + 1
            if text[at : at + 1] not in {"", delimiter, "\r", "\n"}:
                return QuoteFault(Quoting.TEXT_AFTER_QUOTE, start, cell)
        next_cell = text.find(delimiter, at)
        unquoted = text[at:] if next_cell < 0 else text[at:next_cell]
        if "\r" in unquoted.rstrip("\r\n") or (next_cell >= 0 and "\r" in unquoted):
            return QuoteFault(Quoting.BARE_CR, line, cell)
        if next_cell < 0:
            break
        at, cell = next_cell + 1, cell + 1
    return QuoteFault(Quoting.SOUND, line, cell)


def _closing_quote(text: str, at: int) -> int:
    """Return the position of the quote that ends a cell: the first that is not doubled; -1 where there is none."""
    while (found := text.find('"', at)) >= 0 and text[found + 1 : found + 2] == '"':
        at = found + 2
    return found
