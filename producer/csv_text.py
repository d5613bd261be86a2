"""Decodes a source's lines for the csv module, many at a time, and keeps the text of the row being read."""

from __future__ import annotations

import csv
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple

from producer.csv_quotes import stray_search
from producer.errors import MAX_KEPT_CHARS
from producer.source import MAX_LINE_BYTES, TOO_LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.errors import UnreadableFile
    from producer.source import Source

_BLOCK_BYTES = 1 << 14  # some hundred rows, and few enough to be in the processor's cache still


class _Block(NamedTuple):
    """Some lines of a source, and the bytes in front of them. `trouble` is what is known to be wrong with them all."""

    lines: list[bytes]
    offset: int
    trouble: str | None = None


class CsvText:
    """The lines of a source, and the reader of their cells.

    `row_line` is the line in which the row being read begins, counted from 1; who takes rows from `reader` sets it.
    `suspects` are the lines with a byte that is no text, or perhaps with a quote that would be taken for text, and
    `has_apostrophe` tells whether there may be a `'` in the row; where there are none, no row needs a second look.
    """

    def __init__(self, source: Source, delimiter: str) -> None:
        self.row_line = 1
        self.suspects: set[int] = set()
        self.has_apostrophe = False
        self.reader = csv.reader(
            chain.from_iterable(map(self._decoded, self._blocks(source))), strict=True, delimiter=delimiter
        )
        self._source = source
        self._may_have_stray_quote = stray_search(delimiter)
        self._lines: list[str] = []
        self._first = 1  # the number of the first of them
        self._troubles: dict[int, str] = {}

    @property
    def row_lines(self) -> list[str]:
        """The lines of the row that was read last, or that the reader failed on."""
        lines = self._lines[self.row_line - self._first : self.reader.line_num + 1 - self._first]
        if len(lines) > 1:
            self._require_bounded(lines)
        return lines

    @property
    def is_suspect(self) -> bool:
        """Whether a line of the row is among the suspects."""
        return any(line in self.suspects for line in self._row_range())

    @property
    def trouble(self) -> str | None:
        """Which byte in the row is no text, and where."""
        found = [self._troubles[line] for line in self._row_range() if line in self._troubles]
        return found[-1] if found else None

    def _row_range(self) -> range:
        return range(self.row_line, self.reader.line_num + 1)

    def _blocks(self, source: Source) -> Iterator[_Block]:
        lines, size, offset = list[bytes](), 0, source.offset
        for line in source:
            if len(line) > MAX_LINE_BYTES:
                if lines:
                    yield _Block(lines, offset)
                    lines, size = [], 0
                yield _Block([self._beginning(line)], source.offset, TOO_LONG)
                continue
            if not lines:
                offset = source.offset
            lines.append(line)
            size += len(line)
            if size > _BLOCK_BYTES:
                yield _Block(lines, offset)
                lines, size = [], 0
        if lines:
            yield _Block(lines, offset)

    def _decoded(self, block: _Block) -> list[str]:
        """Return the lines of the block as text, and forget those in front of the row being read."""
        del self._lines[: self.row_line - self._first]
        self._first = self.row_line
        self._require_bounded(self._lines)
        start = self._first + len(self._lines)
        self.suspects = {line for line in self.suspects if line >= self._first}
        self._troubles = {line: what for line, what in self._troubles.items() if line >= self._first}
        try:
            lines = list(map(bytes.decode, block.lines))
        except UnicodeDecodeError:
            lines = [line.decode(errors="replace") for line in block.lines]
        self._lines += lines
        self._note_suspects(block, lines, start)
        return lines

    def _note_suspects(self, block: _Block, lines: list[str], start: int) -> None:
        text = "".join(lines)
        if block.trouble or "\0" in text or "\ufffd" in text:
            self._note_troubles(block, start)
        if '"' in text and self._may_have_stray_quote(text):
            self.suspects.update(line for line, text in enumerate(lines, start) if self._may_have_stray_quote(text))
        self.has_apostrophe = "'" in text or (start > self._first and self.has_apostrophe)

    def _note_troubles(self, block: _Block, start: int) -> None:
        offsets = accumulate(map(len, block.lines), initial=block.offset)
        for number, (line, offset) in enumerate(zip(block.lines, offsets, strict=False), start):
            if trouble := _trouble_in(line, offset) or block.trouble:
                self._troubles[number] = trouble
                self.suspects.add(number)

    def _beginning(self, line: bytes) -> bytes:
        """Return the beginning of a line that is too long, where its row certainly ends with it."""
        source = self._source
        in_row = self.row_line < source.number
        if in_row or b'"' in line or source.rest_has_quote or b"\r" in line.rstrip(b"\r\n"):
            raise source.too_long(line)
        kept = line[:MAX_KEPT_CHARS].decode(errors="ignore").strip() or "?"  # a blank line would be passed over
        return kept.encode()

    def _require_bounded(self, lines: list[str]) -> None:
        if sum(map(len, lines)) > MAX_LINE_BYTES:
            raise self._too_long()

    def _too_long(self) -> UnreadableFile:
        what = f"the row is longer than {MAX_LINE_BYTES:,} characters; check its quotes"
        return self._source.fault(what, line=self.row_line)


def _trouble_in(line: bytes, offset: int) -> str | None:
    """Return which byte of a line is no text; `offset` is that of the line."""
    if b"\0" in line:
        return f"there is a NUL byte at byte offset {offset + line.index(0)} of the file"
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 at byte offset {offset + error.start} of the file; save the file as UTF-8"
    return None
