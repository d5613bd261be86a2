"""Finds quoting errors: those that the csv module refuses, and quotes that it would take for text."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import NamedTuple

# what may stand before a quote that is meant to open its cell: blanks, characters that nobody sees, the `=` of Excel's
# `="007"`, and a backslash
_BEFORE = r"[ \t\u00a0\u2000-\u200f\u2028-\u202f\u205f\u2060\u3000\ufeff\u00ad=\\]"


class Quoting(enum.Enum):
    """The kinds of quoting error."""

    UNCLOSED = "a quote is never closed"
    TEXT_AFTER_QUOTE = "text stands after a closing quote"
    SPACE_AFTER_QUOTE = "a space stands after a closing quote"
    SPACE_BEFORE_QUOTE = "a quote stands after a space, so that it would become part of the cell"
    TEXT_BEFORE_QUOTE = "a quote stands after other characters, so that it would become part of the cell"
    BACKSLASH = "a quote is escaped with a backslash"
    BARE_CR = "a line ends in a bare CR"
    SOUND = "nothing"

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE[self]


_ADVICE = {
    Quoting.UNCLOSED: 'close it, or double each " inside the cell',
    Quoting.TEXT_AFTER_QUOTE: 'double each " inside the cell, or put the whole cell in quotes',
    Quoting.SPACE_AFTER_QUOTE: "delete it",
    Quoting.SPACE_BEFORE_QUOTE: "delete the space, so that the cell begins with its quote",
    Quoting.TEXT_BEFORE_QUOTE: "delete them, so that the cell begins with its quote",
    Quoting.BACKSLASH: 'write each " inside a cell as ""',
    Quoting.BARE_CR: "save the file with LF or CRLF line ends",
    Quoting.SOUND: "",
}


class QuoteFault(NamedTuple):
    """A quoting error, and where its cell begins: `line` counts from 0 within the row, `cell` from 1."""

    kind: Quoting
    line: int
    cell: int


def find_fault(text: str, delimiter: str = ",") -> QuoteFault:
    """Return the first place in a row's text that breaks the csv module's rules, or has a stray quote."""
    stray = re.compile(f'{_before(delimiter)}"').match
    line, cell, at = 0, 1, 0
    while at < len(text):
        start = line
        if text[at] == '"':
            end = _closing_quote(text, at + 1)
            if end < 0:
                kind = Quoting.BACKSLASH if _escaped(delimiter)(text, at) else Quoting.UNCLOSED
                return QuoteFault(kind, start, cell)
            line += text.count("\n", at, end)
            at = end + 1
            if text[at : at + 1] not in {"", delimiter, "\r", "\n"}:
                return QuoteFault(_after_quote(text, at, delimiter), start, cell)
        elif before := stray(text, at):
            return QuoteFault(_before_quote(before[0][:-1]), start, cell)
        next_cell = text.find(delimiter, at)
        unquoted = text[at:] if next_cell < 0 else text[at:next_cell]
        if "\r" in unquoted.rstrip("\r\n") or (next_cell >= 0 and "\r" in unquoted):
            return QuoteFault(Quoting.BARE_CR, line, cell)
        if next_cell < 0:
            break
        at, cell = next_cell + 1, cell + 1
    return QuoteFault(Quoting.SOUND, line, cell)


def stray_search(delimiter: str) -> Callable[[str], bool]:
    """Return a function that says whether lines may have a stray quote; a no is certain, and both are fast.

    JSON in a quoted cell has doubled quotes after blanks, so a quote and another character of the cell tell it apart.
    """
    stray = rf'{_before(delimiter)}"(?:[^"]|"(?:["\r\n{re.escape(delimiter)}]|\Z)|\Z)'
    first = re.compile(stray).match
    # each begins with the character before a cell, as a search for a literal is fast
    after_line_end, after_delimiter = (re.compile(re.escape(char) + stray).search for char in ("\n", delimiter))

    def may_have(text: str) -> bool:
        if text.isascii() and not (' "' in text or '\t"' in text or '="' in text or '\\"' in text):
            return False
        return bool(first(text) or after_line_end(text) or after_delimiter(text))

    return may_have


def _before(delimiter: str) -> str:
    return f"(?:(?!{re.escape(delimiter)}){_BEFORE})+"


def _escaped(delimiter: str) -> Callable[[str, int], object]:
    """Return a search for a quote with a backslash in the first line of a cell, which is no doubled one."""
    return re.compile(rf'"[^\r\n]*?\\"(?:[^"]|"(?:[\r\n{re.escape(delimiter)}]|\Z))').match


def _before_quote(before: str) -> Quoting:
    if before.startswith("\\"):
        return Quoting.BACKSLASH
    return Quoting.TEXT_BEFORE_QUOTE if before.strip(" \t") else Quoting.SPACE_BEFORE_QUOTE


def _after_quote(text: str, at: int, delimiter: str) -> Quoting:
    if text[at - 2] == "\\":
        return Quoting.BACKSLASH
    rest = text[at:].partition(delimiter)[0]
    return Quoting.TEXT_AFTER_QUOTE if rest.strip() else Quoting.SPACE_AFTER_QUOTE


def _closing_quote(text: str, at: int) -> int:
    """Return the position of the quote that ends a cell: the first that is not doubled; -1 where there is none."""
    while (found := text.find('"', at)) >= 0 and text[found + 1 : found + 2] == '"':
        at = found + 2
    return found
