"""Compares a header with the first rows below it, and finds where they do not belong together."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from producer.csv_header import HeaderFault
from producer.rules import is_usual_id, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.csv_header import Layout

_LONG = {("key", "value"), ("variable", "value"), ("name", "value"), ("measure names", "measure values")}
"""The columns of a table with a row for each key, as `melt` of pandas, `pivot_longer` of R and Tableau call them."""


def check_first_rows(layout: Layout, rows: Sequence[Sequence[str]], *, id_named: bool) -> None:
    """Raise HeaderFault where the first rows are not what the header says; `id_named`: the user named the id column."""
    names = tuple(key.casefold() for _, key in layout.keys)
    if names in _LONG and len({row[layout.id_at] for row in rows if layout.id_at < len(row)}) < len(rows):
        raise HeaderFault(
            "the columns are those of a table with a row for each key, which repeats the ids; write a column for each "
            "key, as pivot() of pandas does"
        )
    if place := next((at for at, key in layout.keys if is_usual_id(key)), None):
        raise HeaderFault("the column is named by an id, as where rows and columns are swapped; swap them", place + 1)
    if len(rows) > 1 and all(len(row) == len(layout.names) + 1 for row in rows):
        raise HeaderFault(
            "each row has one cell more than the header, as where R writes row names (row.names=FALSE leaves them "
            "out), or where a cell with the delimiter in it has no quotes"
        )
    own = layout.names[layout.id_at]
    if not (id_named or layout.escaped) and (name := _other_with_ids(layout, rows)):
        raise HeaderFault(
            f"the ids seem to be in {shown(name)}, not in {shown(own)}; set --id-column {shlex.quote(name)}, and "
            f"--columns with the names of the keys (or --id-column {shlex.quote(own)}, if it is right)"
        )


def _other_with_ids(layout: Layout, rows: Sequence[Sequence[str]]) -> str | None:
    """Return the column that has a chat completion id in each row, where the id column has none."""
    if not rows or any(_has_id(row, layout.id_at) for row in rows):
        return None
    return next((layout.names[at] for at, _ in layout.keys if all(_has_id(row, at) for row in rows)), None)


def _has_id(row: Sequence[str], at: int) -> bool:
    return at < len(row) and is_usual_id(row[at].strip())
