"""Finds out how a CSV file separates its columns, from its first rows: where it is plain, and only there.

It is plain by what an input must have, a header with the column of the ids and rows as wide as it: nothing is guessed
from how often a character occurs (docs/adr/0015-delimiter-from-the-header.md).
"""

from __future__ import annotations

import csv
import io
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from producer.csv_names import ID_COLUMNS, REPORT_PREFIX, trimmed, without_empty_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.input_options import InputOptions

PLAIN_DELIMITERS = (",", ";", "\t", "|")
"""Delimiters that are found without being named."""
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
_SAMPLED = 50  # rows that are looked at
_FITTING = 0.5  # share of the sampled rows of which more must be as wide as the header
_sep_line = re.compile(r"""\s*"?sep=([^\w"'\r\n])"?[,;\t|]*\s*""", re.IGNORECASE).fullmatch
_is_ruler = re.compile(r"(?=.*--)(?=.*[-:][+| ])[-+|: \t]+|-\[ RECORD \d+ \].*|\*{5,} \d+\. row \*{5,}").fullmatch
_opens_box = re.compile(r"[\u2500-\u257f]").match
_is_pair = re.compile(r"\w+ = .*").fullmatch
_RULED_LINES = 3  # the first lines, of which one is a ruler where a table is drawn


DRAWN = (
    "a table drawn for reading, as SQL clients and pandas show it; export it as CSV (psql --csv, mysql --batch, "
    "sqlite3 -csv -header, to_csv(..., index=False))"
)
"""What a table in columns of blanks or lines is called, with what to do."""


class SampledRow(NamedTuple):
    """One of the first rows, without empty cells at its end, and the line that it begins in, from 1."""

    line: int
    cells: list[str]


class NoDelimiter(Exception):
    """It is not plain what separates the columns; the message says why and what to do."""


def declared_delimiter(line: str) -> str | None:
    """Return the delimiter that a line such as `sep=;` declares, as Excel reads it; None for any other line."""
    found = _sep_line(line)
    return found[1] if found else None


def is_drawn(cell: str) -> bool:
    """Return whether a cell is nothing but a line drawn under a header."""
    return cell.startswith("--") and not cell.strip("-+ ")


def separators(delimiter: str) -> str:
    """Return what a message calls a delimiter: `commas`, or the character itself."""
    return _NAMES.get(delimiter) or repr(delimiter)


def find_delimiter(text: str, options: InputOptions) -> str:
    """Return the delimiter of a file that begins with this text; a comma where the first rows show none.

    Raises:
        NoDelimiter: it is not plain.

    """
    first = text.lstrip().split("\n", _RULED_LINES)[:_RULED_LINES]
    if _is_pair(first[0].strip()) or any(_is_ruler(line.strip()) or _opens_box(line.strip()) for line in first):
        raise NoDelimiter(f"this is {DRAWN}")
    if options.delimiter:
        return options.delimiter
    if declared := declared_delimiter(first[0]):
        return declared
    samples = {char: sample(text, char) for char in PLAIN_DELIMITERS}
    candidates = [char for char, rows in samples.items() if rows and len(rows[0].cells) > 1]
    if len(candidates) < 2:
        return candidates[0] if candidates else ","
    ids = (options.id_column,) if options.id_column else ID_COLUMNS
    for plain in (_of_reports(samples, candidates), _fitting(samples, candidates), _with_id(samples, candidates, ids)):
        if len(plain) == 1:
            return plain[0]
        if plain:
            break
    kinds = " and ".join(map(separators, candidates))
    choices = " or ".join(f"--delimiter {shell_name(char)}" for char in candidates)
    raise NoDelimiter(f"the header has {kinds}, so it is not plain what separates its columns; set {choices}")


def sample(text: str, delimiter: str) -> list[SampledRow]:
    """Return the first rows of a text that may end anywhere, but for blank ones; those before a wrong quote."""
    whole = text[: text.rfind("\n") + 1] or text
    return list(islice(_rows(whole, delimiter), _SAMPLED))


def shell_name(delimiter: str) -> str:
    """Return a delimiter as it is typed in a shell."""
    return "tab" if delimiter == "\t" else f"'{delimiter}'"


def _rows(text: str, delimiter: str) -> Iterator[SampledRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error:
            return
        if cells is None:
            return
        if cells := without_empty_end(cells):
            yield SampledRow(line, cells)


def _of_reports(samples: dict[str, list[SampledRow]], candidates: list[str]) -> list[str]:
    return [char for char in candidates if any(cell.startswith(REPORT_PREFIX) for cell in samples[char][0].cells)]


def _with_id(samples: dict[str, list[SampledRow]], candidates: list[str], ids: tuple[str, ...]) -> list[str]:
    return [char for char in candidates if any(trimmed(cell) in ids for cell in samples[char][0].cells)]


def _fitting(samples: dict[str, list[SampledRow]], candidates: list[str]) -> list[str]:
    return [char for char in candidates if _fits(samples[char])]


def _fits(rows: list[SampledRow]) -> bool:
    width, below = len(rows[0].cells), rows[1:]
    return bool(below) and sum(len(row.cells) == width for row in below) > _FITTING * len(below)
