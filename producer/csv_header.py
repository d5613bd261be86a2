"""Reads a CSV header: which column is the id, and which is which key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ledger.job import Columns
from producer.csv_formula import unescape_cell
from producer.errors import BadRow
from producer.rules import checked_key, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.row import Patch

ID_COLUMNS = ("completion_id", "id")
"""The names an id column or field may have."""

REPORT_PREFIX = "relabel."
"""Prefix of a report's outcome columns; the reader ignores them."""

_WHOLE = "metadata"
_PREFIX = "metadata."


class HeaderFault(Exception):
    """A header that is ambiguous or invalid; `column` counts cells from 1."""

    def __init__(self, what: str, column: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.column = column


class Layout(NamedTuple):
    """The positions of the id and the keys in a CSV row. `whole_at` is that of the `metadata` column, if there is one.

    `escaped` tells that the file was a report, so that its cells carry a guard against formulas; `own` are then the
    places of the columns that are not the report's.
    """

    names: list[str]
    id_at: int
    keys: list[tuple[int, str]]
    whole_at: int | None
    own: list[int]
    escaped: bool

    @property
    def columns(self) -> Columns:
        """The columns, from which a report writes the same ones."""
        return Columns("csv", self.names[self.id_at], [self.names[at] for at in self.own])

    def own_cells(self, cells: list[str]) -> list[str]:
        """Return a row's cells without those that a report added; all of them for a plain file."""
        return [cells[at] for at in self.own if at < len(cells)] if self.escaped else cells


def read_header(cells: list[str]) -> Layout:
    """Parse a header; raises HeaderFault."""
    if len(cells) == 1 and (";" in cells[0] or "\t" in cells[0]):
        found = "semicolon" if ";" in cells[0] else "tab"
        raise HeaderFault(f"the columns seem to be separated by a {found}; save the file with commas")
    names = [cell.strip() for cell in cells]
    escaped = any(name.startswith(REPORT_PREFIX) for name in names)
    if escaped:
        names = [unescape_cell(name) for name in names]
    own = [at for at, name in enumerate(names) if not name.startswith(REPORT_PREFIX)]
    _refuse_empty_and_repeated(names, own)
    id_at = _id_place(names, own)
    rest = [at for at in own if at != id_at]
    if not rest:
        raise HeaderFault("there is no metadata column; add one column for each key, or one named 'metadata'")
    if _WHOLE in names:
        return Layout(names, id_at, [], _only_whole(names, rest), own, escaped)
    return Layout(names, id_at, _key_places(names, rest), None, own, escaped)


def _refuse_empty_and_repeated(names: list[str], own: Iterable[int]) -> None:
    seen: dict[str, int] = {}
    for at in own:
        if not names[at]:
            raise HeaderFault("the header names no column here; give it a name or delete the column", at + 1)
        if names[at] in seen:
            first = seen[names[at]] + 1
            raise HeaderFault(f"column {shown(names[at])} stands in column {first} too; keep one of them", at + 1)
        seen[names[at]] = at


def _id_place(names: list[str], own: Iterable[int]) -> int:
    places = [at for at in own if names[at] in ID_COLUMNS]
    if len(places) == 2:
        raise HeaderFault("there is a 'completion_id' and an 'id' column; keep one of them", places[1] + 1)
    if not places:
        raise HeaderFault("there is no id column; the first row must be a header with 'completion_id' or 'id'")
    return places[0]


def _only_whole(names: list[str], rest: list[int]) -> int:
    for at in rest:
        if names[at] != _WHOLE:
            raise HeaderFault(
                f"column {shown(names[at])} is unknown beside a 'metadata' column; delete one of the two",
                at + 1,
            )
    return rest[0]


def _key_places(names: list[str], rest: Iterable[int]) -> list[tuple[int, str]]:
    places: dict[str, int] = {}
    for at in rest:
        try:
            key = checked_key(names[at].removeprefix(_PREFIX), None)
        except BadRow as error:
            raise HeaderFault(f"{error.reason}; rename the column", at + 1) from None
        if key in places:
            raise HeaderFault(f"key {shown(key)} has column {places[key] + 1} already; keep one of them", at + 1)
        places[key] = at
    return [(at, key) for key, at in places.items()]


def lay_out(columns: Columns, patch: Patch) -> list[str]:
    """Return a patch as a row of the input it came from: the cells of a CSV row, or the one line of a JSONL file."""
    metadata = json.dumps(patch.metadata, ensure_ascii=False)
    if columns.format != "csv":
        return [
            f'{{"{columns.id_column}": {json.dumps(patch.completion_id, ensure_ascii=False)}, "metadata": {metadata}}}'
        ]
    cells = {name: patch.metadata.get(name.removeprefix(_PREFIX)) or "" for name in columns.header}
    if _WHOLE in cells:
        cells[_WHOLE] = metadata
    cells[columns.id_column] = patch.completion_id
    return [cells[name] for name in columns.header]
