"""Reads CSV: a header, then one completion a row."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from config.input_options import NO_OPTIONS, InputOptions
from ledger.row import MAX_PAIRS, MAX_VALUE_CHARS, Patch, Rejection
from producer.csv_dialect import NoDelimiter, declared_delimiter, find_delimiter, is_drawn, sample
from producer.csv_first_rows import check_first_rows
from producer.csv_formula import looks_guarded, unescape_cell
from producer.csv_header import HeaderFault, Layout, MissingId, read_header
from producer.csv_missing_id import Beginning, advice_on_quoted, explain_missing_id
from producer.csv_names import REPORT_INPUT, REPORT_PREFIX, trimmed, without_empty_end
from producer.csv_quotes import QuoteFault, Quoting, find_fault
from producer.csv_text import CsvText
from producer.csv_width import width_problem
from producer.errors import BadRow
from producer.fast_parse import proven_metadata
from producer.profile import Reading
from producer.rules import check_pairs, checked_id, checked_value, is_sound_id
from producer.strict_json import metadata_of, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.job_spec import Columns
    from producer.errors import UnreadableFile
    from producer.source import Source


_INPUT = f"{REPORT_PREFIX}{REPORT_INPUT}"
_NOT_CORRECTED = "the row was rejected before; correct the text that is here and write it into the row's own columns"
_SAMPLES = 3
_OF_THE_FILE = {
    Quoting.BARE_CR,
    Quoting.SPACE_BEFORE_QUOTE,
    Quoting.TEXT_BEFORE_QUOTE,
    Quoting.BACKSLASH,
}
"""Errors that show how a file as a whole is written, so that its other rows cannot be trusted either."""


class CsvRows:
    """The rows of a CSV input, in order: a patch for each valid one, else a rejection; blank lines are skipped.

    The header is read at once. `stringify` concerns the values in a `metadata` column; other cells are strings.
    """

    def __init__(self, source: Source, options: InputOptions = NO_OPTIONS) -> None:
        self._source = source
        self._options = options
        head = source.head().decode(errors="replace")
        self._delimiter = self._delimiter_of(head)
        self._text = CsvText(source, self._delimiter)
        self._layout = self._read_header(head)
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
        layout = self._layout
        return Reading(self._delimiter, tuple(layout.ignored), self._about_guards(), (layout.names[layout.id_at],))

    def __iter__(self) -> Iterator[Patch | Rejection]:
        text, reader, escaped = self._text, self._text.reader, self._layout.escaped
        width = len(self._layout.names)
        while True:
            line = text.row_line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error:
                yield self._unparsed(line)
                continue
            if cells is None:
                return
            if len(cells) > width and not any(map(str.strip, cells[width:])):
                del cells[width:]
            doubtful = escaped or (text.suspects and text.is_suspect)
            patch = None if doubtful else self._proven(line, cells)
            if patch is not None:
                yield patch
            elif not _blank(cells):
                yield self._careful(line, cells)
            if text.has_apostrophe and not escaped:
                self._note_guards(line, cells)

    def _proven(self, line: int, cells: list[str]) -> Patch | None:
        """Return the patch of a row that is certainly valid, else None."""
        layout, null = self._layout, self._options.null
        if len(cells) != len(layout.names) or (null and not null.isdisjoint(cells)):
            return None
        completion_id = cells[layout.id_at]
        if not is_sound_id(completion_id) or completion_id in layout.name_set:
            return None
        if layout.whole_at is not None:
            metadata = proven_metadata(cells[layout.whole_at].encode(), stringify=self._options.stringify)
            return Patch(line, completion_id, self._with_nulls(metadata)) if metadata else None
        metadata = {key: cells[at] for at, key in layout.keys if cells[at]}
        # a look at all characters of the row is faster than at those of each cell
        if len(metadata) > MAX_PAIRS or (
            len("".join(cells)) > MAX_VALUE_CHARS and max(map(len, cells)) > MAX_VALUE_CHARS
        ):
            return None
        return Patch(line, completion_id, metadata)

    def _careful(self, line: int, cells: list[str]) -> Patch | Rejection:
        if self._text.is_suspect:
            self._refuse_stray_quote(line)
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
        if layout.is_header(cells):
            self._refuse_other_header(line, cells)
            raise BadRow(None, "the row repeats the header, as where files were joined; delete it")
        if len(cells) != len(layout.names):
            raise BadRow(None, width_problem(cells, len(layout.names), self._delimiter))
        id_name, id_cell = layout.names[layout.id_at], cells[layout.id_at]
        if is_drawn(id_cell):
            raise BadRow(None, "the row is a line that is drawn under the header; delete it")
        completion_id = checked_id(id_cell, id_name)
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
        if not cell.strip() or cell in self._options.null:
            return {}
        return self._with_nulls(metadata_of(parse_json(cell, column), column, stringify=self._options.stringify))

    def _with_nulls(self, metadata: dict[str, str | None]) -> dict[str, str | None]:
        """Return the pairs with the values removed that `--null` names."""
        null = self._options.null
        return {key: None if value in null else value for key, value in metadata.items()} if null else metadata

    def _refuse_other_header(self, line: int, cells: list[str]) -> None:
        if list(map(trimmed, without_empty_end(cells))) != self._layout.names:
            raise self._source.fault(
                "a header of other columns stands here, as where tables were joined, so that the rows below it do not "
                f"fit the header in line {self._header_line}; put each table into a file of its own",
                line=line,
            )

    def _refuse_stray_quote(self, line: int) -> None:
        fault = find_fault("".join(self._text.row_lines), self._delimiter)
        if fault.kind in _OF_THE_FILE:
            raise self._bad_quotes(line, fault)

    def _unparsed(self, line: int) -> Rejection:
        """Reject a row with a quoting error where its end is certain; refuse the file where it is not."""
        lines = self._text.row_lines
        row = "".join(lines)
        fault = find_fault(row, self._delimiter)
        if fault.kind in _OF_THE_FILE:
            raise self._bad_quotes(line, fault)
        # With an odd number of quotes, or after a line end within quotes, the quote may have swallowed rows.
        if fault.kind is Quoting.UNCLOSED or len(lines) > 1 or row.count('"') % 2:
            raise self._source.fault(
                "a quote is opened here and not closed as it should be, so no row after it can be trusted; "
                f"{Quoting.UNCLOSED.advice}",
                line=line + fault.line,
                column=fault.cell,
            )
        names = self._layout.names
        known = fault.kind is not Quoting.SOUND and fault.cell <= len(names)
        return BadRow(names[fault.cell - 1] if known else None, _sentence(fault.kind)).rejection(
            line, [row.rstrip("\r\n")]
        )

    def _bad_quotes(self, line: int, fault: QuoteFault) -> UnreadableFile:
        column = None if fault.kind is Quoting.BARE_CR else fault.cell
        return self._source.fault(_sentence(fault.kind), line=line + fault.line, column=column)

    def _delimiter_of(self, head: str) -> str:
        try:
            return find_delimiter(head, self._options)
        except NoDelimiter as error:
            raise self._source.fault(str(error), line=1) from None

    def _read_header(self, head: str) -> Layout:
        source, text = self._source, self._text
        line, cells = self._first_row()
        self._header_line = line
        if text.trouble:
            raise source.fault(f"the header cannot be read: {text.trouble}", line=line)
        if text.is_suspect:
            self._refuse_stray_quote(line)
        try:
            layout = read_header(cells, self._options)
            below = [row.cells for row in sample(head, self._delimiter) if row.line > line]
            check_first_rows(layout, below, id_named=self._options.id_column is not None)
            return layout
        except HeaderFault as fault:
            raise source.fault(fault.what, line=line, column=fault.column) from None
        except MissingId as missing:
            what = explain_missing_id(missing.names, Beginning(head, line, self._delimiter))
            raise source.fault(what, line=line) from None

    def _first_row(self) -> tuple[int, list[str]]:
        """Return the first row that is neither blank nor a `sep=` line, with the line it begins in."""
        text, reader = self._text, self._text.reader
        while True:
            line = text.row_line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error:
                row = "".join(text.row_lines)
                if advice := advice_on_quoted(row, self._delimiter):
                    raise self._source.fault(f"the header cannot be read; {advice}", line=line) from None
                raise self._bad_quotes(line, find_fault(row, self._delimiter)) from None
            if cells is None:
                raise self._source.fault("there are only blank lines; give a header and at least a row")
            if not _blank(cells) and declared_delimiter("".join(text.row_lines)) is None:
                return line, cells


def _sentence(kind: Quoting) -> str:
    if kind is Quoting.SOUND:
        return f"a cell is longer than {csv.field_size_limit():,} characters"
    return f"{kind.value}; {kind.advice}"


def _blank(cells: list[str]) -> bool:
    return not "".join(cells).strip()
