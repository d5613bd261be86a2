"""Reads a CSV header: which column is the id, and which is which key."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from config.input_options import NO_OPTIONS, InputOptions
from ledger.job_spec import Columns
from producer.csv_formula import unescape_cell
from producer.csv_names import (
    ID_COLUMNS,
    KEY_PREFIX,
    REPORT_PREFIX,
    WHOLE,
    hidden_in,
    listed,
    meant_name,
    name_of_key,
    nearest,
    trimmed,
    without_empty_end,
)
from producer.errors import BadRow
from producer.rules import checked_key, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from config.input_options import KeyColumn
    from ledger.row import Patch

_is_easy_name = re.compile(r"[^,=\"]+").fullmatch
_NAMELESS = "the header names no column here; give it a name, delete it, or name the columns to take with --columns"
_NUMBERS = "if it has row numbers, index=False of pandas and row.names=FALSE of R leave them out"


class HeaderFault(Exception):
    """A header that is ambiguous or invalid; `column` counts cells from 1."""

    def __init__(self, what: str, column: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.column = column


class MissingId(Exception):
    """A header without a column of ids; `names` are the columns that it has."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names


class Layout(NamedTuple):
    """The positions of the id and the keys in a CSV row. `whole_at` is that of the `metadata` column, if there is one.

    `escaped` tells that the file was a report, so that its cells carry a guard against formulas. `own` are the places
    of the columns that are taken, with their names as a report writes them: the report's own columns are not among
    them, and neither are those that `--columns` leaves out, which `ignored` names. `name_set` are all names, and
    those that an id column may have.
    """

    names: list[str]
    id_at: int
    keys: list[tuple[int, str]]
    whole_at: int | None
    own: dict[int, str]
    ignored: list[str]
    escaped: bool
    name_set: frozenset[str]

    def is_header(self, cells: list[str]) -> bool:
        """Return whether a row is a header, as where files were joined, be it of these columns or of others."""
        id_cell = trimmed(cells[self.id_at]) if self.id_at < len(cells) else ""
        if id_cell not in self.name_set:
            return False
        id_names = {self.names[self.id_at], *ID_COLUMNS}
        return any(trimmed(cell) in id_names for cell in cells)

    @property
    def columns(self) -> Columns:
        """The columns, from which a report writes the same ones."""
        return Columns("csv", self.own[self.id_at], list(self.own.values()))

    def own_cells(self, cells: list[str]) -> list[str]:
        """Return a row's cells without those that are not taken; all of them where every column is."""
        whole = len(self.own) == len(self.names)
        return cells if whole else [cells[at] for at in self.own if at < len(cells)]


def read_header(cells: list[str], options: InputOptions = NO_OPTIONS) -> Layout:
    """Return the layout of a file with this header; raises HeaderFault or MissingId.

    The options rename columns: after that it is read as if the file had these names.
    """
    names = [trimmed(cell) for cell in without_empty_end(cells)]
    escaped = any(name.startswith(REPORT_PREFIX) for name in names)
    if escaped:
        names = [unescape_cell(name) for name in names]
    own = {at: name for at, name in enumerate(names) if not name.startswith(REPORT_PREFIX)}
    id_at = _place_of(options.id_column, names) if options.id_column else _id_place(own)
    taken = own if not options.columns else _chosen(options.columns, names, id_at)
    if options.id_column and names[id_at] not in ID_COLUMNS:
        taken = {**taken, id_at: ID_COLUMNS[0]}
    ignored = [name for at, name in own.items() if at not in taken]
    rest = {at: name for at, name in taken.items() if at != id_at}
    _refuse_unclear(taken, rest)
    if not rest:
        raise HeaderFault("there is no metadata column; add one column for each key, or one named 'metadata'")
    whole_at = _only_whole(rest) if WHOLE in rest.values() else None
    keys = [] if whole_at is not None else _key_places(rest)
    return Layout(names, id_at, keys, whole_at, taken, ignored, escaped, frozenset((*names, *ID_COLUMNS)))


def _place_of(name: str, names: list[str]) -> int:
    places = [at for at, found in enumerate(names) if found == name]
    if not places:
        close = nearest(name, names)
        hint = f"; did you mean {shown(close)}?" if close else ""
        raise HeaderFault(f"there is no column {shown(name)} among {listed(names)}{hint}")
    if len(places) > 1:
        raise HeaderFault(f"column {shown(name)} stands in column {places[0] + 1} too; keep one of them", places[1] + 1)
    return places[0]


def _chosen(columns: Iterable[KeyColumn], names: list[str], id_at: int) -> dict[int, str]:
    """Return the places of the id and of these columns, with the names of their keys."""
    chosen = {id_at: names[id_at]}
    for key, column in columns:
        at = _place_of(column, names)
        if at in chosen:
            raise HeaderFault(f"--columns names {shown(column)}, which is the id column; leave it out", at + 1)
        chosen[at] = name_of_key(key)
    return dict(sorted(chosen.items()))


def _refuse_unclear(taken: Mapping[int, str], rest: Mapping[int, str]) -> None:
    seen: dict[str, int] = {}
    for at, name in taken.items():
        if not name:
            raise HeaderFault(_NAMELESS if at else f"{_NAMELESS}; {_NUMBERS}", at + 1)
        if hidden := hidden_in(name):
            raise HeaderFault(f"column {shown(name)} has {hidden} in its name, which nobody sees; delete it", at + 1)
        if name in seen:
            raise HeaderFault(f"column {shown(name)} stands in column {seen[name] + 1} too; keep one of them", at + 1)
        seen[name] = at
    for at, name in rest.items():
        if meant := meant_name(name):
            as_key = name_of_key(name)
            other = f"; for a key of this very name call it {shown(as_key)}" if as_key != name else ""
            option = _option_for(meant, name)
            raise HeaderFault(
                f"column {shown(name)}: did you mean {shown(meant)}? Rename the column, or {option}{other}", at + 1
            )


def _option_for(meant: str, name: str) -> str:
    key = meant.removeprefix(KEY_PREFIX)
    if meant in ID_COLUMNS or meant.startswith(REPORT_PREFIX) or not _is_easy_name(name):
        return "leave it out with --columns"
    return f"set --columns {shlex.quote(f'{key}={name}')}, with all keys that are meant"


def _id_place(own: Mapping[int, str]) -> int:
    places = [at for at, name in own.items() if name in ID_COLUMNS]
    if len({own[at] for at in places}) == 2:
        raise HeaderFault(
            "there is a 'completion_id' and an 'id' column; keep one of them, or set --id-column and --columns",
            places[1] + 1,
        )
    if not places:
        raise MissingId(list(own.values()))
    return places[0]


def _only_whole(rest: Mapping[int, str]) -> int:
    for at, name in rest.items():
        if name != WHOLE:
            raise HeaderFault(
                f"column {shown(name)} is unknown beside a 'metadata' column; delete it, or set --columns metadata to "
                "leave out all others",
                at + 1,
            )
    return next(iter(rest))


def _key_places(rest: Mapping[int, str]) -> list[tuple[int, str]]:
    places: dict[str, int] = {}
    for at, name in rest.items():
        try:
            key = checked_key(name.removeprefix(KEY_PREFIX).lstrip(), None)
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
    cells = {name: patch.metadata.get(name.removeprefix(KEY_PREFIX).lstrip()) or "" for name in columns.header}
    if WHOLE in cells:
        cells[WHOLE] = metadata
    cells[columns.id_column] = patch.completion_id
    return [cells[name] for name in columns.header]
