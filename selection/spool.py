"""Keeps what a selection found so far in a file, so that an interrupted one goes on where it was.

The file is JSON Lines: a head that says of which selection it is, an array for each completion, and after those of
each page a mark that holds the place in the list. What stands behind the last mark was not finished, and is cut off. It
holds customer data, so it is its owner's alone.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Self

import msgspec

from completions.list_place import Cursor
from selection.completion import Completion
from selection.errors import BadSelection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT = 1
"""The version of the file's format."""
_BUFFER = 1 << 20


class Head(msgspec.Struct, frozen=True):
    """Of which selection a file is: `fingerprint` is that of its options; `began` is in seconds since the epoch."""

    relabel_select: int
    fingerprint: str
    began: float


class Mark(msgspec.Struct, frozen=True):
    """Where a selection stands after a page: the place in the list, and what was counted until there.

    `complete` tells that there is nothing more to be read. `seconds` is how long the reading took.
    """

    cursor: Cursor | None = None
    matched: int = 0
    requests: int = 0
    seconds: float = 0.0
    left_out: dict[str, int] = {}
    complete: bool = False


_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(Head).decode
_decode_mark = msgspec.json.Decoder(Mark).decode
_decode_completion = msgspec.json.Decoder(Completion).decode


class Spool:
    """The file of one selection, for as long as it is open; `mark` is where the selection stands.

    `began` is when it began, in seconds since the epoch. A context manager: its end closes the file and leaves it, for
    the same selection to go on with; without a page there is nothing to go on with, and it is removed.
    """

    def __init__(self, path: Path, file: BinaryIO, began: float, mark: Mark) -> None:
        self._path = path
        self._file = file
        self.began = began
        self.mark = mark

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.mark.cursor is None:
            with suppress(OSError):
                self.remove()
        with suppress(OSError):  # what could not be written is named already, and cut off by whoever goes on
            self._file.close()

    def add(self, completions: Sequence[Completion], mark: Mark) -> None:
        """Store the completions of a page, and where the selection stands after it.

        Raises:
            BadSelection: there is no room.

        """
        with _named(self._path):
            self._file.write(b"\n".join([*map(_encode, completions), _encode(mark), b""]))
            self._file.flush()
        self.mark = mark

    def completions(self) -> Iterator[Completion]:
        """Yield what was stored, in order. May be called again, once nothing is added any more."""
        self._file.seek(0)
        return (_decode_completion(line) for line in self._file if line.startswith(b"["))

    def remove(self) -> None:
        """Remove the file, which is not needed any more."""
        self._path.unlink(missing_ok=True)


def open_spool(path: Path, fingerprint: str, *, now: float, keep_s: float) -> Spool:
    """Open the file of a selection at its last mark, or begin it.

    One that began more than `keep_s` ago is begun anew, as what it saw may have changed since.

    Raises:
        BadSelection: the file is that of another selection, is in use, is none of a selection, or cannot be written.

    """
    with _named(path):
        file = os.fdopen(_open_private(path), "r+b", buffering=_BUFFER)
    try:
        head, mark, end = _read(file, path)
        if head is not None and mark.cursor is None:
            head = None
        if head is not None and head.fingerprint != fingerprint:
            raise BadSelection(
                f"{path} is what a selection with other options found before it was interrupted; repeat it with those "
                "options, delete the file, or choose another output"
            )
        if head is None or now - head.began > keep_s:
            head, mark, end = Head(FORMAT, fingerprint, now), Mark(), 0
        with _named(path):
            file.seek(end)
            file.truncate()
            if not end:
                file.write(_encode(head) + b"\n")
                file.flush()
        return Spool(path, file, head.began, mark)
    except BaseException:
        with suppress(OSError):
            file.close()
        raise


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{path}: what is found cannot be kept here ({error.strerror})"
        raise BadSelection(f"{what}; make room or choose another place, and the same command goes on") from error


def _open_private(path: Path) -> int:
    """Open the file for its owner alone, and lock it for as long as it is open."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise BadSelection(f"{path} is not a file of yours; choose another output")
        os.fchmod(fd, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise BadSelection(f"{path} is written by another `relabel select`; wait for it") from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _read(file: BinaryIO, path: Path) -> tuple[Head | None, Mark, int]:
    """Return the head of a file, its last mark, and the place after it; no head where it is empty."""
    first = file.readline()
    if not first:
        return None, Mark(), 0
    try:
        head = _decode_head(first)
    except msgspec.DecodeError:
        head = None
    if head is None or head.relabel_select != FORMAT:
        raise BadSelection(f"{path} is not what this relabel keeps of a selection; delete it, or choose another output")
    mark, at = Mark(), len(first)
    end = at
    with suppress(msgspec.DecodeError, UnicodeDecodeError):  # what was not written to its end
        for line in file:
            at += len(line)
            if line.startswith(b"["):
                _decode_completion(line)
            elif line.endswith(b"\n"):
                mark, end = _decode_mark(line), at
    return head, mark, end
