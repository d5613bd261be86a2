"""Finds out why a CSV header has no column of ids, and says what to do."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from producer.csv_dialect import DRAWN, PLAIN_DELIMITERS, sample, separators, shell_name
from producer.csv_names import ID_COLUMNS, hidden_in, listed, meant_name, nearest_to_an_id, trimmed
from producer.rules import holds_usual_id, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_ID = "there is no id column"
_OTHER_QUOTES = "'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
_is_quoted = re.compile(r'(?:\s|"?sep=.*\n)*"', re.IGNORECASE).match
_in_blanks = re.compile(r"\S {2,}\S").search
_quoted = re.compile(r'\s*"[^"\r\n]*"([^"\w\r\n])"').match
_starts_with_id = re.compile(rf'"?(?:{"|".join(ID_COLUMNS)})"?([^\w"])').match


class Beginning(NamedTuple):
    """How a file begins: its first bytes as text, the line of its first row that is not blank, and its delimiter."""

    text: str
    line: int
    delimiter: str


def explain_missing_id(names: Sequence[str], beginning: Beginning) -> str:
    """Return what is wrong with a header of these names, and what to do; data are not quoted as names."""
    if any(map(holds_usual_id, names)):
        return f"{_NO_ID}, as the first row is no header but data; put a row such as completion_id,team above it"
    if line := _line_of_header(beginning):
        return f"{_NO_ID} in this row, and the header seems to be line {line}; delete what stands above it"
    if line := _line_of_id_alone(beginning):
        return (
            f"the header goes over lines {beginning.line} to {line}, as pandas writes columns of several levels; give "
            "it one row, with the names joined"
        )
    if len(names) == 1:
        advice = _advice_on_one(names[0], beginning)
        return f"{_NO_ID}, as the whole header is one column, {shown(names[0])}; {advice}"
    rows = sample(beginning.text, beginning.delimiter)
    missing = f"{_NO_ID} 'completion_id' or 'id' among {listed(names)}"
    if name := nearest_to_an_id(names, [row.cells for row in rows]):
        return f"{missing}; did you mean {shown(name)}? {_advice_on_near(name)}"
    return f"{missing}; add it, or name another one with --id-column"


def advice_on_quoted(row: str, delimiter: str) -> str:
    """Return what to do with a header in quotes whose delimiter was not found, '' where that is not the reason."""
    found = _quoted(row)
    other = found and found[1] != delimiter
    return f"if {shown(found[1])} separates the columns, set --delimiter '{found[1]}'" if found and other else ""


def _line_of_header(beginning: Beginning) -> int | None:
    for char in dict.fromkeys((beginning.delimiter, *PLAIN_DELIMITERS)):
        for row in sample(beginning.text, char):
            if row.line > beginning.line and len(row.cells) > 1 and any(map(_is_id_column, row.cells)):
                return row.line
    return None


def _line_of_id_alone(beginning: Beginning) -> int | None:
    rows = sample(beginning.text, beginning.delimiter)
    return next(
        (row.line for row in rows if row.line > beginning.line and list(map(_is_id_column, row.cells)) == [True]), None
    )


def _is_id_column(cell: str) -> bool:
    return trimmed(cell) in ID_COLUMNS or meant_name(cell) in ID_COLUMNS


def _advice_on_near(name: str) -> str:
    if hidden := hidden_in(name):
        return f"It has {hidden} in its name, which nobody sees; delete it"
    if name[0] in _OTHER_QUOTES:
        return (
            f'In CSV only " quotes a cell, and {name[0]} is a part of it; export the file with straight double quotes'
        )
    return f"Then set --id-column {shlex.quote(name)}"


def _advice_on_one(name: str, beginning: Beginning) -> str:
    if other := next((char for char in PLAIN_DELIMITERS if char in name), ""):
        if not _is_quoted(beginning.text):
            return (
                f"it is read as separated by {separators(beginning.delimiter)}, and has {separators(other)}; set "
                f"--delimiter {shell_name(other)}"
            )
        return "each line seems to stand within quotes as a whole: save the file again with a cell for each column"
    separator = _starts_with_id(name)
    if separator and separator[1] == " " and _in_blanks(beginning.text):
        return f"it seems to be {DRAWN}"
    if separator:
        return f"if {shown(separator[1])} separates the columns, set --delimiter '{separator[1]}'"
    return "add one named 'completion_id' or 'id', or set --delimiter where another character separates the columns"
