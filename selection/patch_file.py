"""Writes selected completions as a file that is read as any other input: CSV or JSON Lines.

What was seen of each completion stands in the columns `relabel.*`, or in the field `relabel`, which the reader ignores.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from config.text import escaped_json, printable
from ledger.clock import utc_second
from producer.csv_formula import escape_cell
from producer.csv_header import HeaderFault, read_header
from producer.csv_names import ID_COLUMNS, KEY_PREFIX, REPORT_FIELD, REPORT_PREFIX, WHOLE, name_of_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from selection.completion import Completion
    from selection.labels import Labels

Metadata = dict[str, str | None]
Layout = Literal["csv", "jsonl"]
_ID = ID_COLUMNS[0]
_SEEN = ("created", "model", "metadata")
_encode = msgspec.json.Encoder().encode


class PatchFile(Protocol):
    """A format in which patches are written, each as a line of bytes."""

    def head(self) -> bytes:
        """Return what stands before the first row."""

    def row(self, seen: Completion, patch: Metadata) -> bytes:
        """Return the line of a completion: what it is to get, and what was seen of it."""


def patch_file(layout: Layout, labels: Labels) -> PatchFile:
    """Return the writer of a format."""
    return CsvPatches(labels) if layout == "csv" else JsonlPatches()


class JsonlPatches:
    """An object a completion."""

    def head(self) -> bytes:
        """Return no bytes: JSON Lines have no header."""
        return b""

    def row(self, seen: Completion, patch: Metadata) -> bytes:
        """Return the line of a completion."""
        facts = dict(zip(_SEEN, (_time(seen), seen.model, seen.metadata), strict=True))
        return escaped_json(_encode({_ID: seen.id, WHOLE: patch, REPORT_FIELD: facts})) + b"\n"


class CsvPatches:
    """A column a key, where the reader understands every cell; else one column with all keys as JSON."""

    def __init__(self, labels: Labels) -> None:
        columns = None if labels.needs_json else key_columns(labels.keys)
        self._keys = labels.keys if columns else []
        self._columns = columns or [WHOLE]
        self._text = io.StringIO(newline="")
        # CRLF as RFC 4180 has it; with "\n" Python 3.11 leaves a cell with a bare CR unquoted
        self._writer = csv.writer(self._text, lineterminator="\r\n")

    def head(self) -> bytes:
        """Return the header."""
        return self._line([_ID, *self._columns, *(REPORT_PREFIX + name for name in _SEEN)])

    def row(self, seen: Completion, patch: Metadata) -> bytes:
        """Return the line of a completion; an empty cell leaves its key alone."""
        cells = [patch.get(key) or "" for key in self._keys] if self._keys else [_json(patch)]
        shown = escaped_json(_json(seen.metadata).encode()).decode()
        return self._line([seen.id, *cells, _time(seen) or "", printable(seen.model or ""), shown])

    def _line(self, cells: Iterable[str]) -> bytes:
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerow(map(escape_cell, cells))
        return self._text.getvalue().encode()


def key_columns(keys: Sequence[str]) -> list[str] | None:
    """Return a column's name for each key, by which the reader knows it again; None where there is none for one."""
    names = [_known_as(key, name_of_key(key)) or _known_as(key, KEY_PREFIX + key) for key in keys]
    return names if names and all(names) else None


def _known_as(key: str, name: str) -> str:
    try:
        layout = read_header([_ID, escape_cell(name), f"{REPORT_PREFIX}created"])
    except HeaderFault:
        return ""
    return name if layout.whole_at is None and layout.keys == [(1, key)] else ""


def _json(pairs: object) -> str:
    return json.dumps(pairs, ensure_ascii=False)


def _time(seen: Completion) -> str | None:
    return None if seen.created is None else utc_second(seen.created)
