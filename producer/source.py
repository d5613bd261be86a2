"""Opens an input, compressed or not, and reads its physical lines as bytes within bounds."""

from __future__ import annotations

import codecs
import errno
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from producer.decompress import DAMAGED, compression_of, decompressed, read_head, replayed
from producer.errors import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator

Format = Literal["csv", "jsonl"]
"""The formats of an input."""

MAX_LINE_BYTES = 1 << 20
"""Bytes one physical line may have. 16 pairs at their limits take 37 kB at most, so a longer line is no row."""

_FORMATS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_HEAD = 4096  # enough to see past the blank lines in front of a first `{`
_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16: its mark begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_OPEN_ERRORS = {
    errno.ENOENT: "there is no such file; check the path",
    errno.EISDIR: "this is a folder; name a file in it",
    errno.EACCES: "you have no permission to read it; change its mode or its owner",
}


class InputLimits(NamedTuple):
    """The rows and the bytes, decompressed, that an input may have: RELABEL_INPUT__MAX_ROWS and __MAX_GIB."""

    rows: int = 20_000_000
    size: int = 64 << 30


LINES_A_ROW = 16
"""Lines that an input may have for each row it may have: blank ones, and line ends within quotes."""


class Source:
    """An opened input: iterating gives its physical lines, line ends included.

    `number` is the line last given, counted from 1, and `offset` the bytes in front of it, after decompression.
    """

    def __init__(self, name: str, layout: Format, stream: BinaryIO, limits: InputLimits, *, offset: int = 0) -> None:
        self.name = name
        self.limits = limits
        self.format = layout
        self.number = 0
        self.offset = offset
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        read_line = partial(self._stream.readline, MAX_LINE_BYTES + 1)
        most_bytes, most_lines = self.limits.size, self.limits.rows * LINES_A_ROW
        with _reading(self.name):
            for line in iter(read_line, b""):
                self.number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise self._too_long(line)
                if self.offset > most_bytes or self.number > most_lines:
                    raise self.too_large()
                yield line
                self.offset += len(line)

    def fault(self, what: str, *, line: int | None = None, column: int | str | None = None) -> UnreadableFile:
        """Return the error that names this file and the place in it."""
        place = self.name
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column {column}"
        return UnreadableFile(f"{place}: {what}", line=line, column=column)

    def too_large(self) -> UnreadableFile:
        """Return the error of an input beyond its limits."""
        rows, size = self.limits.rows, self.limits.size / (1 << 30)
        return self.fault(
            f"the file has more than {rows:,} rows or, decompressed, {size:,.4g} GiB; divide it, or set "
            "RELABEL_INPUT__MAX_ROWS or RELABEL_INPUT__MAX_GIB higher",
            line=self.number,
        )

    def _too_long(self, line: bytes) -> UnreadableFile:
        if b"\r" in line.rstrip(b"\r\n"):
            return self.fault("lines end in a bare CR; save the file with LF or CRLF line ends", line=self.number)
        return self.fault(
            f"the line is longer than {MAX_LINE_BYTES:,} bytes; check that each row ends in a line end",
            line=self.number,
        )


@contextmanager
def open_source(
    path: str | Path,
    *,
    stdin: BinaryIO | None = None,
    opened: BinaryIO | None = None,
    layout: Format | None = None,
    limits: InputLimits = InputLimits(),  # noqa: B008 - a constant
) -> Iterator[Source]:
    """Open a file, or `stdin` where the path is `-`, for as long as the `with` block runs.

    The name's ending gives format and compression; without one, as on stdin, the first bytes do. `layout` overrides.
    `opened` is the file of that name, where the caller opened it.
    """
    with ExitStack() as stack:
        if str(path) == "-" and stdin is not None:
            name, suffixes, stream = "standard input", "", stdin
        else:
            name, suffixes = Path(path).name, "".join(Path(path).suffixes[-2:]).lower()
            if layout is None:
                layout = _format_named(name, suffixes)
            stream = opened or stack.enter_context(_opened(path))
        with _reading(name):
            source = _identify(name, stream, suffixes, layout, limits)
        yield source


def _format_named(name: str, suffixes: str) -> Format:
    plain = suffixes.removesuffix(".gz").removesuffix(".zst")
    layout = _FORMATS.get("." + plain.rpartition(".")[2])
    if layout is None:
        raise UnreadableFile(
            f"{name}: the name does not show the format; use .csv, .jsonl or .ndjson, each also with .gz or .zst, "
            "or set --input-format"
        )
    return layout


def _opened(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise not_opened(path, error) from error
    except ValueError as error:
        raise UnreadableFile(f"{path!r}: this is not a valid path; check it") from error


def not_opened(path: str | Path, error: OSError) -> UnreadableFile:
    """Return the error of a file that cannot be opened."""
    advice = _OPEN_ERRORS.get(error.errno or 0, f"it cannot be opened ({error.strerror}); check the path")
    return UnreadableFile(f"{path}: {advice}")


def _identify(name: str, stream: BinaryIO, suffixes: str, layout: Format | None, limits: InputLimits) -> Source:
    compression = suffixes[suffixes.rfind(".") :] if suffixes.endswith((".gz", ".zst")) else None
    if compression is None and "." + suffixes.rpartition(".")[2] not in _FORMATS:
        head = read_head(stream, 4)
        stream, compression = replayed(head, stream), compression_of(head)
    stream = decompressed(stream, compression or "")
    head = read_head(stream, _HEAD)
    _refuse_other_contents(name, head)
    text = head.removeprefix(codecs.BOM_UTF8)
    if layout is None:
        layout = "jsonl" if text.lstrip().startswith(b"{") else "csv"
    return Source(name, layout, replayed(text, stream), limits, offset=len(head) - len(text))


def _refuse_other_contents(name: str, head: bytes) -> None:
    if not head:
        raise UnreadableFile(f"{name}: the file is empty; use one with at least one row")
    for mark, encoding in _OTHER_ENCODINGS.items():
        if head.startswith(mark):
            raise UnreadableFile(f"{name}: the file is {encoding}; save it as UTF-8")
    if b"\0" in head[:2]:
        raise UnreadableFile(f"{name}: the file seems to be UTF-16 or binary; save it as text in UTF-8")
    if head.startswith(b"PK\x03\x04"):
        raise UnreadableFile(f"{name}: this is a workbook or a ZIP archive; export it as CSV in UTF-8")


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Raise UnreadableFile for every error of a broken stream."""
    try:
        yield
    except EOFError as error:
        raise UnreadableFile(f"{name}: the compressed data ends too early; copy the file again") from error
    except DAMAGED as error:
        raise UnreadableFile(f"{name}: the compressed data is damaged ({error}); copy the file again") from error
    except OSError as error:  # gzip.BadGzipFile is one and has no errno
        what = f"cannot be read ({error.strerror})" if error.errno else f"is damaged gzip data ({error})"
        raise UnreadableFile(f"{name}: the file {what}; copy it again") from error
