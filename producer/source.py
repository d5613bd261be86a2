"""Opens an input, compressed or not, and reads its physical lines as bytes within bounds."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from config.input_options import NO_OPTIONS, InputOptions
from producer.decompress import DAMAGED
from producer.errors import UnreadableFile
from producer.identify import Named, identify, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from producer.identify import Identified
    from producer.json_shape import Shape

MAX_LINE_BYTES = 1 << 20
"""Bytes one physical line may have. 16 pairs at their limits take 37 kB at most, so a longer line is no row."""
TOO_LONG = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
"""What is said of a line beyond the bound."""

_OPEN_ERRORS = {
    errno.ENOENT: "there is no such file; check the path",
    errno.EISDIR: "this is a folder; name a file in it",
    errno.EACCES: "you have no permission to read it; change its mode or its owner",
    errno.ENAMETOOLONG: "the name is too long for a file; check the path",
}
_is_descriptor = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/(?:self|\d+)/fd/\d+").fullmatch
_is_url = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE).match


class InputLimits(NamedTuple):
    """The rows and the bytes, decompressed, that an input may have: RELABEL_INPUT__MAX_ROWS and __MAX_GIB."""

    rows: int = 20_000_000
    size: int = 64 << 30


LINES_A_ROW = 16
"""Lines that an input may have for each row it may have: blank ones, and line ends within quotes."""


class Source:
    """An opened input: iterating gives its physical lines, line ends included.

    `number` is the line last given, counted from 1, and `offset` the bytes in front of it, after decompression. Of a
    line that is longer than `MAX_LINE_BYTES` its beginning is given, one byte more than that; `rest_has_quote` tells
    whether there is a double quote in what was passed over. `lacks_line_end` is known
    after the last line: whether it has no line end, so that it may be cut.
    """

    def __init__(
        self,
        given: Named,
        found: Identified,
        limits: InputLimits,
        *,
        changed: Callable[[], bool],
    ) -> None:
        self.name = given.name
        self.limits = limits
        self.format = found.layout
        self.number = 0
        self.offset = found.offset
        self.lacks_line_end = False
        self.rest_has_quote = False
        self._given = given._replace(compression=found.compression)
        self._stream = found.stream
        self._changed = changed

    def __iter__(self) -> Iterator[bytes]:
        read_line = partial(self._stream.readline, MAX_LINE_BYTES + 1)
        most_bytes, most_lines = self.limits.size, self.limits.rows * LINES_A_ROW
        last = b"\n"
        with _reading(self.name):
            for line in iter(read_line, b""):
                self.number += 1
                if self.offset > most_bytes or self.number > most_lines:
                    raise self.too_large(self.number)
                if len(line) > MAX_LINE_BYTES:
                    last, skipped = self._skip_rest(line)
                    yield line
                    self.offset += len(line) + skipped
                    continue
                yield line
                self.offset += len(line)
                last = line
        self.lacks_line_end = not last.endswith(b"\n")
        if self._changed():
            raise self.fault("the file changed while it was read; wait until it is complete, and try again")

    def _skip_rest(self, line: bytes) -> tuple[bytes, int]:
        """Read on to the end of a line that is too long; return its last part, and the bytes that were passed over."""
        last, skipped = line, 0
        self.rest_has_quote = False
        while not last.endswith(b"\n") and (more := self._stream.readline(MAX_LINE_BYTES)):
            last = more
            skipped += len(more)
            self.rest_has_quote |= b'"' in more
            if self.offset + skipped > self.limits.size:
                raise self.too_large(self.number)
        return last, skipped

    def head(self) -> bytes:
        """Return the first bytes, those that were looked at already; to be asked for before the first line."""
        return self._stream.peek()  # type: ignore[attr-defined,no-any-return] # `replayed` makes a buffered reader

    def fault(self, what: str, *, line: int | None = None, column: int | str | None = None) -> UnreadableFile:
        """Return the error that names this file and the place in it."""
        place = self.name
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column {column}"
        return UnreadableFile(f"{place}: {what}", line=line, column=column)

    def too_large(self, line: int) -> UnreadableFile:
        """Return the error of an input that goes beyond its limits in this line."""
        rows, size = self.limits.rows, self.limits.size / (1 << 30)
        return self.fault(
            f"the file has more than {rows:,} rows or, decompressed, {size:,.4g} GiB; divide it, or set "
            "RELABEL_INPUT__MAX_ROWS or RELABEL_INPUT__MAX_GIB higher",
            line=line,
        )

    def advice_on(self, shape: Shape) -> str:
        """Return what to do with this file where a line shows that it is JSON of another shape."""
        return shape.advice(self._given.path, self._given.compression)

    def too_long(self, line: bytes) -> UnreadableFile:
        """Return the error of a line beyond the bound after which no row can be trusted."""
        if b"\r" in line.rstrip(b"\r\n"):
            return self.fault("lines end in a bare CR; save the file with LF or CRLF line ends", line=self.number)
        return self.fault(f"{TOO_LONG}; check that each row ends in a line end", line=self.number)


@contextmanager
def open_source(
    path: str | Path,
    *,
    stdin: BinaryIO | None = None,
    opened: BinaryIO | None = None,
    name: str = "",
    options: InputOptions = NO_OPTIONS,
    limits: InputLimits = InputLimits(),  # noqa: B008 - a constant
) -> Iterator[Source]:
    """Open a file, or `stdin` where the path is `-`, for as long as the `with` block runs.

    The name's ending gives format and compression, and the content has to be that; where the name says nothing, as on
    stdin and in a pipe, the first bytes decide. `options.layout` overrides the name. `opened` is the file of that name,
    where the caller opened it; `name` is what messages call it, its own where none is given.

    Raises:
        UnreadableFile: it cannot be opened, or is something else than its name says, or changed while it was read.

    """
    with ExitStack() as stack:
        if str(path) == "-" and stdin is not None:
            given, stream = _STANDARD_INPUT, stdin
        else:
            stream = opened or stack.enter_context(_opened(path))
            given = _given(path, stream)
        given = given._replace(name=name or given.name)
        before = _state(stream)
        with _reading(given.name):
            found = identify(given, stream, options)

        def changed() -> bool:
            return opened is None and _state(path if given.path else stream) != before

        yield Source(given, found, limits, changed=changed)


_STANDARD_INPUT = Named("standard input")


def _given(path: str | Path, stream: BinaryIO) -> Named:
    """Return what is known of a file; a descriptor and a pipe without an ending in its name are as standard input."""
    if str(path) == "/dev/stdin":
        return _STANDARD_INPUT
    if _is_descriptor(str(path)):
        return Named(str(path))
    given = named(path)
    is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    return given if is_file else given._replace(path="")


def _state(file: BinaryIO | str | Path) -> tuple[int, ...] | None:
    """Return what changes with a file: its device, inode, size and time; None where there is no regular file."""
    try:
        found = Path(file).stat() if isinstance(file, str | Path) else os.fstat(file.fileno())
    except OSError:  # a stream in memory has no descriptor
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _opened(path: str | Path) -> BinaryIO:
    if not str(path):
        raise UnreadableFile("the name of the file is empty; was a variable of the shell not set?")
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise not_opened(path, error) from error
    except ValueError as error:
        raise UnreadableFile(f"{path!r}: this is not a valid path; check it") from error


def not_opened(path: str | Path, error: OSError) -> UnreadableFile:
    """Return the error of a file that cannot be opened."""
    if _is_url(str(path)):
        return UnreadableFile(
            f"{path}: this is an address; download the file, or pipe it: `curl -fsS URL | relabel ... -`"
        )
    advice = _OPEN_ERRORS.get(error.errno or 0, f"it cannot be opened ({error.strerror}); check the path")
    return UnreadableFile(f"{path}: {advice}")


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
