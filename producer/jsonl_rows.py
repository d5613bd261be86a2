"""Reads JSONL: one object a line, with an id and a `metadata` object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ledger.job import Columns
from ledger.row import Patch, Rejection
from producer.csv_header import ID_COLUMNS
from producer.errors import BadRow
from producer.fast_parse import proven_patch
from producer.json_shape import shape_around
from producer.rules import checked_id
from producer.source import MAX_LINE_BYTES, TOO_LONG
from producer.strict_json import JsonObject, metadata_of, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.source import Source


_two_rows = re.compile(rb"\}[ \t]*\r\s*\{").search


class JsonlRows:
    """The rows of a JSONL input, in order: a patch for each valid one, else a rejection; blank lines are skipped.

    Most lines are proven good by one typed decoding; the others are read a second time, carefully, to say what is
    wrong. `stringify` lets numbers and booleans pass as their JSON text.
    """

    def __init__(self, source: Source, *, stringify: bool = False) -> None:
        self._source = source
        self._stringify = stringify
        self._id_field: str | None = None

    @property
    def columns(self) -> Columns:
        """The fields, from which a report writes the same ones; known once a row was read."""
        return Columns("jsonl", self._id_field or ID_COLUMNS[0], [])

    def __iter__(self) -> Iterator[Patch | Rejection]:
        source = self._source
        empty = True
        for line in source:
            whole = len(line) <= MAX_LINE_BYTES
            patch = proven_patch(line, source.number, stringify=self._stringify) if whole else None
            if patch is None and whole and line.isspace():
                continue
            empty = False
            if patch is not None and self._id_field is not None:
                yield patch
            else:
                yield self._careful(line)
        if empty:
            raise source.fault("there are only blank lines; give at least a row")

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
            return error.rejection(source.number, [text])

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
        for field in (*ID_COLUMNS, "metadata"):
            if field in row.repeated:
                raise BadRow(field, f"field {field!r} stands in the line more than once")
        field, completion_id = _id_of(row)
        if "metadata" not in row:
            raise BadRow("metadata", "there is no 'metadata' field")
        patch = Patch(
            self._source.number, completion_id, metadata_of(row["metadata"], "metadata", stringify=self._stringify)
        )
        self._id_field = self._id_field or field
        return patch


def _id_of(row: JsonObject) -> tuple[str, str]:
    found = [(field, checked_id(row[field], field)) for field in ID_COLUMNS if row.get(field) is not None]
    if not found:
        raise BadRow(ID_COLUMNS[0], "the id is missing; the line needs a field 'completion_id' or 'id'")
    if len(found) == 2 and found[0][1] != found[1][1]:
        raise BadRow("id", "'completion_id' and 'id' have different values; keep one of them")
    return found[0]
