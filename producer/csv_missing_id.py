"""Finds out why a CSV header has no column of ids, and says what to do."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from producer.csv_dialect import PLAIN_DELIMITERS, sample
from producer.csv_names import ID_COLUMNS, listed, meant_name, nearest_to_an_id, trimmed
from producer.rules import is_usual_id, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_ID = "there is no id column"
_quoted = re.compile(r'\s*"[^"\r\n]*"([^"\w\r\n])"').match
_starts_with_id = re.compile(rf'"?(?:{"|".join(ID_COLUMNS)})"?([^\w"])').match


class Beginning(NamedTuple):
    """How a file begins: its first bytes as text, the line of its first row that is not blank, and its delimiter."""

    text: str
    line: int
    delimiter: str


def explain_missing_id(names: Sequence[str], beginning: Beginning) -> str:
    """Return what is wrong with a header of these names, and what to do; data are not quoted as names."""
    if any(map(is_usual_id, names)):
        return f"{_NO_ID}, as the first row is no header but data; put a row such as completion_id,team above it"
    if line := _line_of_header(beginning):
        return f"{_NO_ID} in this row, and the header seems to be line {line}; delete what stands above it"
    if len(names) == 1:
        return f"{_NO_ID}, as the whole header is one column, {shown(names[0])}; {_advice_on_one(names[0])}"
    rows = sample(beginning.text, beginning.delimiter)
    missing = f"{_NO_ID} 'completion_id' or 'id' among {listed(names)}"
    if name := nearest_to_an_id(names, [row.cells for row in rows]):
        return f"{missing}; did you mean {shown(name)}? Then set --id-column {shlex.quote(name)}"
    return f"{missing}; add it, or name another one with --id-column"


def advice_on_quoted(row: str) -> str:
    """Return what to do with a header in quotes whose delimiter was not found, '' where that is not the reason."""
    found = _quoted(row)
    return f"if {shown(found[1])} separates the columns, set --delimiter '{found[1]}'" if found else ""


def _line_of_header(beginning: Beginning) -> int | None:
    for char in dict.fromkeys((beginning.delimiter, *PLAIN_DELIMITERS)):
        for row in sample(beginning.text, char):
            if row.line > beginning.line and len(row.cells) > 1 and any(map(_is_id_column, row.cells)):
                return row.line
    return None


def _is_id_column(cell: str) -> bool:
    return trimmed(cell) in ID_COLUMNS or meant_name(cell) in ID_COLUMNS


def _advice_on_one(name: str) -> str:
    if any(char in name for char in PLAIN_DELIMITERS):
        return "each line seems to stand within quotes as a whole: save the file again with a cell for each column"
    if separator := _starts_with_id(name):
        return f"if {shown(separator[1])} separates the columns, set --delimiter '{separator[1]}'"
    return "add one named 'completion_id' or 'id', or set --delimiter where another character separates the columns"
