"""Reads CSV: a header, then one completion a row."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from config.input_options import NO_OPTIONS, InputOptions
from ledger.completion_id import is_plain_id
from ledger.row import MAX_PAIRS, MAX_VALUE_CHARS, Patch, Rejection
from producer.csv_formula import looks_guarded, unescape_cell
from producer.csv_header import REPORT_INPUT, REPORT_PREFIX, HeaderFault, Layout, read_header
from producer.csv_quotes import Quoting, find_fault
from producer.csv_text import CsvText
from producer.errors import BadRow
from producer.fast_parse import proven_metadata
from producer.profile import Reading
from producer.rules import check_pairs, checked_id, checked_value
from producer.strict_json import metadata_of, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.job import Columns
    from producer.errors import UnreadableFile
    from producer.source import Source


_INPUT = f"{REPORT_PREFIX}{REPORT_INPUT}"
_NOT_CORRECTED = "the row was rejected before; correct the text that is here and write it into the row's own columns"
_SAMPLES = 3


class CsvRows:
    """The rows of a CSV input, in order: a patch for each valid one, else a rejection; blank lines are skipped.

    The header is read at once. `stringify` concerns the values in a `metadata` column; other cells are strings.
    """

    def __init__(self, source: Source, options: InputOptions = NO_OPTIONS) -> None:
        self._source = source
        self._options = options
        self._delimiter = options.delimiter or ","
        self._text = CsvText(source)
        self._reader = csv.reader(iter(self._text), strict=True, delimiter=self._delimiter)
        self._layout = self._read_header()
        names = self._layout.names
        self._input_at = names.index(_INPUT) if _INPUT in names else None
        self._guarded, self._guarded_lines = 0, list[int]()

    @property
    def columns(self) -> Columns:
        """The columns, from which a report writes the same ones."""
        return self._layout.columns

    @property
    def reading(self) -> Reading:
        """How the file is read."""
        return Reading(self._delimiter, tuple(self._layout.ignored), self._about_guards())

    def __iter__(self) -> Iterator[Patch | Rejection]:
        reader, text, layout, null = self._reader, self._text, self._layout, self._options.null
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error:
                yield self._unparsed(line)
                text.next_row()
                continue
            if cells is None:
                return
            patch = None if text.trouble or layout.escaped or null else _proven(layout, line, cells)
            if patch is not None:
                yield patch
            elif not _blank(cells):
                yield self._careful(line, cells)
            if not layout.escaped and "'" in "".join(text.lines):
                self._note_guards(line, cells)
            text.next_row()

    def _careful(self, line: int, cells: list[str]) -> Patch | Rejection:
        if self._layout.escaped:
            cells = [unescape_cell(cell) for cell in cells]
        try:
            return self._patch(line, cells)
        except BadRow as error:
            if original := self._original(cells):
                return BadRow(_INPUT, _NOT_CORRECTED).rejection(line, [original])
            return error.rejection(line, self._layout.own_cells(cells))

    def _original(self, cells: list[str]) -> str:
        """Return the text of a row that a report shows as that; '' where its own columns hold something."""
        at = self._input_at
        return "" if at is None or at >= len(cells) or any(self._layout.own_cells(cells)) else cells[at]

    def _note_guards(self, line: int, cells: list[str]) -> None:
        if any(map(looks_guarded, cells)):
            self._guarded += 1
            if self._guarded <= _SAMPLES:
                self._guarded_lines.append(line)

    def _about_guards(self) -> tuple[str, ...]:
        """Return what to know of guards that will not be taken off, as the columns that tell a report are gone."""
        if not self._guarded:
            return ()
        what = (
            "1 row has a value that begins" if self._guarded == 1 else f"{self._guarded:,} rows have values that begin"
        )
        first = ", ".join(map(str, self._guarded_lines))
        notice = (
            f"{what} with ' and a sign, as a report guards them against spreadsheets (first in line {first}); the ' is "
            "sent as part of the value unless a column relabel.* of the report is kept"
        )
        return (notice,)

    def _patch(self, line: int, cells: list[str]) -> Patch:
        layout = self._layout
        if self._text.trouble:
            raise BadRow(None, self._text.trouble)
        if len(cells) != len(layout.names):
            raise BadRow(None, f"the row has {len(cells)} cells; the header has {len(layout.names)}")
        completion_id = checked_id(cells[layout.id_at], layout.names[layout.id_at])
        if layout.whole_at is not None:
            return Patch(line, completion_id, self._whole(cells[layout.whole_at], layout.names[layout.whole_at]))
        null = self._options.null
        metadata = {
            key: None if cells[at] in null else checked_value(key, cells[at], layout.names[at], stringify=False)
            for at, key in layout.keys
            if cells[at] or "" in null
        }
        check_pairs(metadata, None)
        return Patch(line, completion_id, metadata)

    def _whole(self, cell: str, column: str) -> dict[str, str | None]:
        if not cell.strip():
            return {}
        stringify, null = self._options.stringify, self._options.null
        proven = proven_metadata(cell.encode(), stringify=stringify)
        metadata = proven or metadata_of(parse_json(cell, column), column, stringify=stringify)
        return {key: None if value in null else value for key, value in metadata.items()} if null else metadata

    def _unparsed(self, line: int) -> Rejection:
        """Reject a row with a quoting error where its end is certain; refuse the file where it is not."""
        lines = self._text.lines
        row = "".join(lines)
        fault = find_fault(row, self._delimiter)
        if fault.kind is Quoting.BARE_CR:
            raise self._bare_cr(line + fault.line)
        # With an odd number of quotes, or after a line end within quotes, the quote may have swallowed rows.
        if fault.kind is Quoting.UNCLOSED or len(lines) > 1 or row.count('"') % 2:
            raise self._source.fault(
                "a quote is opened here and not closed as it should be, so no row after it can be trusted; "
                'close it, or double each " inside the cell',
                line=line + fault.line,
                column=fault.cell,
            )
        column = self._layout.names[fault.cell - 1] if fault.cell <= len(self._layout.names) else None
        reason = "text stands after a closing quote"
        if fault.kind is Quoting.SOUND:
            column, reason = None, f"a cell is longer than {csv.field_size_limit():,} characters"
        return BadRow(column, reason).rejection(line, [row.rstrip("\r\n")])

    def _bare_cr(self, line: int) -> UnreadableFile:
        return self._source.fault("lines end in a bare CR; save the file with LF or CRLF line ends", line=line)

    def _read_header(self) -> Layout:
        source, text = self._source, self._text
        line = 1
        try:
            cells = next(self._reader, None)
            while cells is not None and _blank(cells):
                text.next_row()
                line = self._reader.line_num + 1
                cells = next(self._reader, None)
        except csv.Error:
            fault = find_fault("".join(text.lines), self._delimiter)
            if fault.kind is Quoting.BARE_CR:
                raise self._bare_cr(line + fault.line) from None
            raise source.fault(
                f"the header cannot be read because {fault.kind.value}; correct its quotes",
                line=line + fault.line,
                column=fault.cell,
            ) from None
        if cells is None:
            raise source.fault("there are only blank lines; give a header and at least a row")
        if text.trouble:
            raise source.fault(f"the header cannot be read: {text.trouble}", line=line)
        text.next_row()
        try:
            return read_header(cells, self._options)
        except HeaderFault as fault_found:
            raise source.fault(fault_found.what, line=line, column=fault_found.column) from None


def _proven(layout: Layout, line: int, cells: list[str]) -> Patch | None:
    """Return the patch of a row that is certainly valid, else None."""
    if len(cells) != len(layout.names) or layout.whole_at is not None or not is_plain_id(cells[layout.id_at]):
        return None
    metadata: dict[str, str | None] = {key: cells[at] for at, key in layout.keys if cells[at]}
    if len(metadata) > MAX_PAIRS or max(map(len, cells)) > MAX_VALUE_CHARS:
        return None
    return Patch(line, cells[layout.id_at], metadata)


def _blank(cells: list[str]) -> bool:
    return not cells or (len(cells) == 1 and cells[0].isspace())
