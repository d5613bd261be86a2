"""Compares the names of CSV columns with those that have a meaning, and finds what cannot be seen in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from producer.rules import hidden_char, is_usual_id, shown

ID_COLUMNS = ("completion_id", "id")
"""The names an id column or field may have."""

WHOLE, KEY_PREFIX = "metadata", "metadata."
"""The column that holds all keys, and what may stand in front of the name of one key."""

REPORT_FIELD = "relabel"
"""The field of a JSONL report with the outcome of the row; the reader ignores it."""
REPORT_PREFIX = f"{REPORT_FIELD}."
"""Prefix of a CSV report's outcome columns; the reader ignores them."""
REPORT_INPUT = "input"
"""Where a report holds a rejected row that does not fit its own columns: as the text that was read."""

_LISTED = 12  # columns that a message names
_PREFIXED = re.compile(r"[\W_]*(metadata|relabel)[\W_]+(\w.*)", re.IGNORECASE | re.DOTALL).fullmatch
_closing = re.compile(r"\W+\Z")
_CLOSE_TO_AN_ID = ("completionid", "chatcompletionid", "responseid", "requestid", "completion")


def trimmed(cell: str) -> str:
    """Return the name in a header's cell: without blanks around it, and without a BOM that a join left there."""
    return cell.strip().removeprefix("\ufeff").lstrip()


def without_empty_end(cells: list[str]) -> list[str]:
    """Return cells without the empty ones at the end, which spreadsheets write for columns that nobody filled."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def meant_name(name: str) -> str | None:
    """Return the name with a meaning from which this one differs by case, blanks or punctuation only, if any."""
    if name.startswith((KEY_PREFIX, REPORT_PREFIX)) and name != KEY_PREFIX:
        return None
    plain = _plain(name)
    for reserved in (*ID_COLUMNS, WHOLE):
        if plain == _plain(reserved):
            return None if name == reserved else reserved
    found = _PREFIXED(name)
    return f"{found[1].lower()}.{_closing.sub('', found[2])}" if found else None


def name_of_key(key: str) -> str:
    """Return the name of a column that is read as this key, or as all of them where it is `metadata`."""
    if key == WHOLE or key.startswith(KEY_PREFIX):
        return key
    needs_prefix = key in ID_COLUMNS or key.startswith(REPORT_PREFIX) or meant_name(key)
    return KEY_PREFIX + key if needs_prefix else key


def hidden_in(name: str) -> str:
    """Return what cannot be seen in a name and where, '' where all of it can."""
    for place, char in enumerate(name, start=1):
        if char.isspace() and char != " ":
            return f"white space other than a blank (U+{ord(char):04X}) at character {place}"
    return hidden_char(name)


def listed(names: Iterable[str]) -> str:
    """Return the names of columns for a message, the first ones of many."""
    every = list(names)
    more = f" and {len(every) - _LISTED:,} more" if len(every) > _LISTED else ""
    return ", ".join(map(shown, every[:_LISTED])) + more


def nearest(name: str, names: Sequence[str]) -> str | None:
    """Return the one of the names that was probably meant."""
    plain = {_plain(each): each for each in reversed(names) if each}
    close = get_close_matches(_plain(name), plain, n=1)
    return plain[close[0]] if close else None


def nearest_to_an_id(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str | None:
    """Return the column that is probably that of the ids: by its name, else by what the rows hold in it."""
    for name in names:
        if meant_name(name) in ID_COLUMNS:
            return name
    for row in rows:
        for name, cell in zip(names, row, strict=False):
            if name and is_usual_id(cell.strip()):
                return name
    plain = {_plain(name): name for name in names}
    for wanted in _CLOSE_TO_AN_ID:
        if close := get_close_matches(wanted, plain, n=1, cutoff=0.8):
            return plain[close[0]]
    return None


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))
