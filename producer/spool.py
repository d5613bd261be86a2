"""A private file of msgpack rows on disk, so that memory holds a few bytes a row and not the rows."""

from __future__ import annotations

import os
import tempfile
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from producer.errors import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUFFER = 1 << 20


class Spool:
    """Rows as bytes, read back by number (from 0) or in order; costs 12 bytes of memory a row.

    The file has no name and mode 600, so nobody else can open it and nothing is left behind when the process dies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise self._full(error) from error
        self._starts = array("Q")
        self._lengths = array("I")  # 0 marks a row that was dropped
        self._dropped = 0
        self._size = 0
        self._flushed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._lengths) - self._dropped

    def append(self, body: bytes) -> None:
        """Add a row at the end."""
        self._starts.append(self._size)
        self._lengths.append(len(body))
        self._write(body)

    def replace(self, row: int, body: bytes) -> None:
        """Give a row other bytes; it keeps its place in the order."""
        self._starts[row] = self._size
        self._lengths[row] = len(body)
        self._write(body)

    def drop(self, row: int) -> None:
        """Take a row out of the order; the others keep their numbers."""
        self._lengths[row] = 0
        self._dropped += 1

    def read(self, row: int) -> bytes:
        """Give one row's bytes."""
        return self._read(self._starts[row], self._lengths[row])

    def blocks(self) -> Iterator[bytes]:
        """Give everything that was written, in the order of writing."""
        for start in range(0, self._size, _BUFFER):
            yield self._read(start, min(_BUFFER, self._size - start))

    def groups(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Give up to `size` rows at a time, in order: how many, and their bytes one after the other."""
        spans: list[tuple[int, int]] = []  # neighbours in the file are read as one
        start = end = rows = 0
        for at, length in zip(self._starts, self._lengths, strict=True):
            if not length:
                continue
            if at != end:
                spans.append((start, end))
                start = at
            end = at + length
            rows += 1
            if rows == size:
                yield rows, self._gather([*spans, (start, end)])
                spans, start, rows = [], end, 0
        if rows:
            yield rows, self._gather([*spans, (start, end)])

    def close(self) -> None:
        """Give the disk space back; may be called twice."""
        with suppress(OSError):  # what could not be written any more is not needed any more
            self._file.close()

    def _gather(self, spans: list[tuple[int, int]]) -> bytes:
        return b"".join(self._read(start, end - start) for start, end in spans if end > start)

    def _read(self, start: int, length: int) -> bytes:
        try:
            if start + length > self._flushed:
                self._file.flush()
                self._flushed = self._size
            return os.pread(self._file.fileno(), length, start)
        except OSError as error:
            raise self._full(error) from error

    def _write(self, body: bytes) -> None:
        try:
            self._file.write(body)
        except OSError as error:
            raise self._full(error) from error
        self._size += len(body)

    def _full(self, error: OSError) -> UnreadableFile:
        return UnreadableFile(
            f"{self._folder}: the rows being checked cannot be kept here ({error.strerror}); "
            "free some space or name another folder"
        )
