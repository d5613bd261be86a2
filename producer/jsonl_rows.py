"""Reads JSONL: one object a line, with an id and a `metadata` object."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from config.input_options import NO_OPTIONS, InputOptions
from ledger.job_spec import Columns
from ledger.row import Patch, Rejection
from producer.csv_names import ID_COLUMNS, REPORT_FIELD, REPORT_INPUT
from producer.errors import BadRow
from producer.fast_parse import proven_object, proven_patch
from producer.json_fields import RowFields, ignored_fields
from producer.json_shape import shape_around
from producer.profile import Reading
from producer.rules import shown
from producer.source import MAX_LINE_BYTES, TOO_LONG
from producer.strict_json import JsonObject, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.source import Source


_two_rows = re.compile(rb"\}[ \t]*\r\s*\{").search


class JsonlRows:
    """The rows of a JSONL input, in order: a patch for each valid one, else a rejection; blank lines are skipped.

    Most lines are proven good by one typed decoding; the others are read a second time, carefully, to say what is
    wrong.
    """

    def __init__(self, source: Source, options: InputOptions = NO_OPTIONS) -> None:
        if options.delimiter is not None:
            raise source.fault("--delimiter is for CSV files, and this one is JSON Lines; leave it out")
        self._source = source
        self._options = options
        self._fields = RowFields(options)
        self._proven = partial(proven_patch, stringify=options.stringify)
        self._id_field: str | None = None
        self._ignored: tuple[str, ...] = ()

    @property
    def columns(self) -> Columns:
        """The fields, from which a report writes the same ones; known once a row was read."""
        field = self._id_field if self._id_field in ID_COLUMNS else None
        return Columns("jsonl", field or ID_COLUMNS[0], [])

    @property
    def reading(self) -> Reading:
        """How the file is read."""
        named = self._options.id_column
        return Reading(ignored=self._ignored, id_names=(named, ID_COLUMNS[0]) if named else ID_COLUMNS)

    def __iter__(self) -> Iterator[Patch | Rejection]:
        source = self._source
        proven = self._proven_by_options if _are_told(self._options) else self._proven
        empty, seen = True, False
        for line in source:
            whole = len(line) <= MAX_LINE_BYTES
            patch = proven(line, source.number) if whole else None
            if patch is None and whole and line.isspace():
                continue
            if patch is not None and not (seen or _are_told(self._options)):
                seen, self._ignored = True, ignored_fields(proven_object(line) or {})
            empty = False
            if patch is not None and self._id_field is not None:
                yield patch
            else:
                yield self._careful(line)
        if empty:
            raise source.fault("there are only blank lines; give at least a row")
        if self._fields.unseen:
            missing = ", ".join(map(shown, sorted(self._fields.unseen)))
            raise source.fault(f"no line has a field {missing}; correct --columns")

    def _proven_by_options(self, line: bytes, number: int) -> Patch | None:
        row = proven_object(line)
        try:
            return self._fields.patch(number, row) if row is not None else None
        except BadRow:
            return None

    def _careful(self, line: bytes) -> Patch | Rejection:
        source = self._source
        try:
            return self._patch(line)
        except BadRow as error:
            if _two_rows(line):
                raise source.fault(
                    "lines end in a bare CR; save the file with LF or CRLF line ends", line=source.number
                ) from None
            text = line.decode(errors="replace").rstrip("\r\n")
            if shape := shape_around(text):
                raise source.fault(source.advice_on(shape), line=source.number) from None
            return error.rejection(source.number, [_original(text)])

    def _patch(self, line: bytes) -> Patch:
        if len(line) > MAX_LINE_BYTES:
            raise BadRow(None, TOO_LONG)
        if b"\0" in line:
            raise BadRow(None, f"there is a NUL byte at byte offset {self._source.offset + line.index(0)} of the file")
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            where = self._source.offset + error.start
            raise BadRow(None, f"it is not UTF-8 at byte offset {where} of the file; save the file as UTF-8") from None
        row = parse_json(text.rstrip("\r\n"), None)
        if not isinstance(row, JsonObject):
            raise BadRow(None, "the line is not a JSON object")
        patch = self._fields.patch(self._source.number, row)
        self._id_field = self._id_field or self._fields.id_of(row)[0]
        return patch


def _original(text: str) -> str:
    """Return a rejected line as it was first read: of a report's line that only quotes it, what is quoted."""
    try:
        row = parse_json(text, None)
    except BadRow:
        return text
    told = row.get(REPORT_FIELD) if isinstance(row, JsonObject) and len(row) == 1 else None
    quoted = told.get(REPORT_INPUT) if isinstance(told, JsonObject) else None
    return quoted if type(quoted) is str else text  # a number is a str, too


def _are_told(options: InputOptions) -> bool:
    return bool(options.id_column or options.columns or options.null)
