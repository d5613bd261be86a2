"""Decodes a source's lines for the csv module, and keeps the text of the row being read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer.csv_quotes import stray_search
from producer.errors import MAX_KEPT_CHARS
from producer.source import MAX_LINE_BYTES, TOO_LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.csv_quotes import stray_search
    from producer.errors import UnreadableFile
from producer.source import Source


class CsvText:
    """The lines of a source, decoded.

    Of the row being read, `lines` are the lines so far and `trouble` tells which byte in them is no text; `is_suspect`
    tells that there is trouble, or perhaps a quote that would be taken for text. The reader of the rows calls
    `next_row` when it is done with one.
    """

    def __init__(self, source: Source, delimiter: str) -> None:
        self.lines: list[str] = []
        self.trouble: str | None = None
        self.is_suspect = False
        self._may_have_stray_quote = stray_search(delimiter)
        self._chars = 0
        self._source = source

    def __iter__(self) -> Iterator[str]:
        lines, may_have_stray_quote = self.lines, self._may_have_stray_quote
        for line in self._source:
            raw = line if len(line) <= MAX_LINE_BYTES else self._beginning(line)
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                text = raw.decode(errors="replace")
                where = self._source.offset + error.start
                self._note(f"it is not UTF-8 at byte offset {where} of the file; save the file as UTF-8")
            if b"\0" in raw:
                self._note(f"there is a NUL byte at byte offset {self._source.offset + raw.index(0)} of the file")
            if b'"' in raw and may_have_stray_quote(text):
                self.is_suspect = True
            lines.append(text)
            self._chars += len(text)
            if self._chars > MAX_LINE_BYTES and len(lines) > 1:
                raise self._too_long()
            yield text

    def _note(self, trouble: str) -> None:
        self.trouble, self.is_suspect = trouble, True

    def next_row(self) -> None:
        """Forget the row that was read."""
        self.lines.clear()
        self.trouble = None
        self.is_suspect = False
        self._chars = 0

    def _beginning(self, line: bytes) -> bytes:
        """Return the beginning of a line that is too long, where its row certainly ends with it."""
        source = self._source
        if self.lines or b'"' in line or source.rest_has_quote or b"\r" in line.rstrip(b"\r\n"):
            raise source.too_long(line)
        self._note(TOO_LONG)
        kept = line[:MAX_KEPT_CHARS].decode(errors="ignore").strip() or "?"  # a blank line would be passed over
        return kept.encode()

    def _too_long(self) -> UnreadableFile:
        first = self._source.number - len(self.lines) + 1
        return self._source.fault(f"the row is longer than {MAX_LINE_BYTES:,} characters; check its quotes", line=first)
