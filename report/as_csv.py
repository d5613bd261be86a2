"""A report as CSV: the input's own columns, then the outcome of the row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ledger.job_spec import Columns
from ledger.row import Patch, Rejection
from producer.csv_formula import escape_cell
from producer.csv_header import lay_out
from producer.csv_names import REPORT_INPUT, REPORT_PREFIX
from report.rows import RowStatus

_REPLACEMENT = "\ufffd"  # stands for bytes that were not UTF-8


_encode = msgspec.json.Encoder(order="deterministic").encode


class CsvReport:
    """Rows as CSV lines. Cells are escaped against formulas; the producer removes the escape again."""

    def __init__(self, columns: Columns, fields: Sequence[str]) -> None:
        self._fields = fields
        self._columns = columns if columns.format == "csv" else _columns_of_jsonl(columns)
        self._text = io.StringIO(newline="")
        # CRLF as RFC 4180 has it; with "\n" Python 3.11 leaves a cell with a bare CR unquoted
        self._writer = csv.writer(self._text, lineterminator="\r\n")

    def head(self) -> bytes:
        """Return the header."""
        added = (*self._fields, REPORT_INPUT)
        return self._line([*self._columns.header, *(REPORT_PREFIX + name for name in added)])

    def row(self, patch: Patch, status: RowStatus) -> bytes:
        """Return the line of a row that was or will be sent."""
        return self._line([*lay_out(self._columns, patch), *self._cells(status), ""])

    def rejected(self, rejection: Rejection, status: RowStatus) -> bytes:
        """Return the line of a rejected row.

        Cells that do not fit the header stay out of the row's own columns: filled up or cut off they could make a
        valid row that nobody wrote.
        """
        cells, own = rejection.cells, len(self._columns.header)
        if len(cells) == own and not any(_REPLACEMENT in cell for cell in cells):
            return self._line([*cells, *self._cells(status), ""])
        return self._line([*[""] * own, *self._cells(status), raw_text(cells)])

    def _cells(self, status: RowStatus) -> Iterator[str]:
        for field in self._fields:
            value = getattr(status, field)
            yield "" if value is None else value if isinstance(value, str) else _encode(value).decode()

    def _line(self, cells: Iterable[str]) -> bytes:
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerow([escape_cell(cell) if cell else cell for cell in cells])
        return self._text.getvalue().encode()


def raw_text(cells: list[str]) -> str:
    """Return a rejected row as its text: the one line that was kept of it, or its cells as CSV again."""
    if len(cells) == 1:
        return cells[0]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def _columns_of_jsonl(columns: Columns) -> Columns:
    return Columns("csv", columns.id_column, [columns.id_column, "metadata"])
