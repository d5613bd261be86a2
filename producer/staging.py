"""Stages rows as msgpack in private files on disk, so that memory holds a few bytes a row instead of the rows."""

from __future__ import annotations

import hashlib
import os
import tempfile
from array import array
from contextlib import suppress
from itertools import accumulate, chain, compress, count, islice
from typing import TYPE_CHECKING, Generic, NamedTuple, Self, TypeVar

import msgspec

from ledger.job_spec import Mode
from ledger.row import HasLine, Patch
from producer.errors import UnreadableFile
from producer.rules import too_much

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ledger.row import Rejection, UnsentRow

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

    def extend(self, bodies: Sequence[bytes]) -> None:
        """Add rows at the end."""
        lengths = list(map(len, bodies))
        self._starts.extend(islice(accumulate(lengths, initial=self._size), len(lengths)))
        self._lengths.extend(lengths)
        self._write(b"".join(bodies))

    def replace(self, row: int, body: bytes) -> None:
        """Replace a row's bytes; it keeps its place in the order."""
        self._starts[row] = self._size
        self._lengths[row] = len(body)
        self._write(body)

    def drop(self, row: int) -> None:
        """Drop a row from the order; the others keep their numbers."""
        self._lengths[row] = 0
        self._dropped += 1

    def read(self, row: int) -> bytes:
        """Return one row's bytes."""
        return self._read(self._starts[row], self._lengths[row])

    def blocks(self) -> Iterator[bytes]:
        """Yield everything that was written, in the order of writing."""
        for start in range(0, self._size, _BUFFER):
            yield self._read(start, min(_BUFFER, self._size - start))

    def groups(self, size: int, *, take: Callable[[int], bool] | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield up to `size` rows at a time, in order: their number, and their bytes one after the other.

        `take` chooses among the rows that were not dropped, by their number among these.
        """
        spans: list[tuple[int, int]] = []  # neighbours in the file are read as one
        start = end = rows = 0
        left = (row for row in zip(self._starts, self._lengths, strict=True) if row[1])
        for at, length in left if take is None else compress(left, map(take, count())):
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

    def reorder(self, order: array[int]) -> None:
        """Put the rows in another order, given by their numbers; from then on these are their places in it."""
        self._starts = array("Q", map(self._starts.__getitem__, order))
        self._lengths = array("I", map(self._lengths.__getitem__, order))

    def close(self) -> None:
        """Free the disk space; may be called twice."""
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


_BUCKET_ROWS = 1 << 16  # rows a bucket has on average: some MB of Python objects at a time

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Patch).decode


class Folded(NamedTuple):
    """A row that left the order: `first` took it over, as it then stood; or it cannot, which `fault` says, else ''."""

    later: Patch
    first: Patch
    fault: str


def fold(spool: Spool, hashes: array[int], mode: Mode) -> Iterator[Folded]:
    """Fold the spooled patches, and yield each row that leaves the order; the rows of one id in file order.

    `hashes` holds a hash of each row's id: rows of one id share it, other rows may. In `merge` mode later keys win
    over earlier ones and the keys unite; in `replace` mode the last row wins whole. A row that would bring its
    completion over 16 pairs is dropped; the rows before it stay.
    """
    for bucket in _buckets(hashes):
        if len(set(map(hashes.__getitem__, bucket))) < len(bucket):
            yield from _fold_bucket(spool, _sharing_a_hash(bucket, hashes), mode)


def _buckets(hashes: array[int]) -> list[array[int]]:
    """Return the row numbers in buckets, so that rows of one id share a bucket, each in file order."""
    buckets = [array("I") for _ in range(len(hashes) // _BUCKET_ROWS + 1)]
    number = len(buckets)
    for row, value in enumerate(hashes):
        buckets[value % number].append(row)
    return buckets


def _sharing_a_hash(bucket: array[int], hashes: array[int]) -> Iterator[int]:
    seen: set[int] = set()
    repeated: set[int] = set()
    for row in bucket:
        (repeated if hashes[row] in seen else seen).add(hashes[row])
    return (row for row in bucket if hashes[row] in repeated)


def _fold_bucket(spool: Spool, rows: Iterator[int], mode: Mode) -> Iterator[Folded]:
    heads: dict[str, tuple[int, Patch]] = {}
    changed: set[str] = set()
    for row in rows:
        later = _decode(spool.read(row))
        place, first = heads.setdefault(later.completion_id, (row, later))
        if place == row:
            continue
        spool.drop(row)
        patch = folded_patch(first, later, mode)
        if fault := too_much(patch.metadata):
            yield Folded(later, first, fault)
            continue
        heads[later.completion_id] = (place, patch)
        changed.add(later.completion_id)
        yield Folded(later, first, "")
    for completion_id in changed:
        place, patch = heads[completion_id]
        spool.replace(place, _encode(patch))


def contradicts(later: Patch, first: Patch, mode: Mode) -> bool:
    """Return whether a row gives a key another value than the rows of its id before it, which it overrides."""
    if mode is Mode.REPLACE:
        return first.metadata != later.metadata
    return any(key in first.metadata and first.metadata[key] != value for key, value in later.metadata.items())


def folded_patch(first: Patch, later: Patch, mode: Mode) -> Patch:
    """Return the patch with a later row folded in; it keeps its line, and what was seen last."""
    metadata = later.metadata if mode is Mode.REPLACE else first.metadata | later.metadata
    seen = first.seen if later.seen is None else later.seen
    return Patch(first.line, first.completion_id, metadata, seen=seen)


T = TypeVar("T", bound=HasLine)


class RowsByLine(Generic[T]):
    """Rows of one type, added in any order; iterating yields them in order of their lines."""

    def __init__(self, folder: Path, row_type: type[T]) -> None:
        self._spool = Spool(folder)
        self._decode = msgspec.msgpack.Decoder(row_type).decode
        self._lines = array("Q")
        self._sorted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[T]:
        # Reading finds rows in order; folding, which comes after it, adds its few out of order.
        rows = range(len(self._lines))
        for row in rows if self._sorted else sorted(rows, key=self._lines.__getitem__):
            yield self._decode(self._spool.read(row))

    def add(self, row: T) -> None:
        """Add a row."""
        self._sorted = self._sorted and (not self._lines or self._lines[-1] <= row.line)
        self._lines.append(row.line)
        self._spool.append(_encode(row))

    def blocks(self) -> Iterator[bytes]:
        """Yield their bytes in the order they were added."""
        return self._spool.blocks()

    def close(self) -> None:
        """Free the disk space; may be called twice."""
        self._spool.close()


def fingerprint_of(patches: Spool, rejected: RowsByLine[Rejection], unsent: RowsByLine[UnsentRow]) -> str:
    """Return a SHA-256 in hex of all rows as they were added; to be taken before they are folded."""
    digest = hashlib.sha256()
    for block in patches.blocks():
        digest.update(block)
    digest.update(b"\0rejected\0")
    for block in chain(rejected.blocks(), unsent.blocks()):
        digest.update(block)
    return digest.hexdigest()
