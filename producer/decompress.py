"""Decompress gzip and zstd streams, and put the head of a stream that was read back in front of it."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after one byte of 0x50-0x5f: what pzstd and seekable files begin with
_BUFFER = 1 << 17

COMPRESSIONS = (".gz", ".zst")
"""The endings of what can be decompressed."""

DAMAGED = (zlib.error, ZstdError)
"""What reading damaged data raises, beside gzip.BadGzipFile."""


class Replay(io.RawIOBase):
    """A stream whose first bytes were read already: `head`, then what is left of `rest`."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        """Return True: bytes can always be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer and return the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self._head or self._rest.read(len(view)) or b""
        self._head = data[len(view) :]
        data = data[: len(view)]
        view[: len(data)] = data
        return len(data)


def read_head(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end of the stream; a pipe may hand them out one by one."""
    head = b""
    while len(head) < size and (more := stream.read(size - len(head))):
        head += more
    return head


def replayed(head: bytes, rest: BinaryIO) -> BinaryIO:
    """Return a stream that reads `head` again before `rest`."""
    return cast("BinaryIO", io.BufferedReader(Replay(head, rest), _BUFFER))


def compression_of(head: bytes) -> str:
    """Return how a stream is compressed, by its first four bytes: `.gz`, `.zst`, or '' for not at all."""
    if head.startswith(_GZIP_MAGIC):
        return ".gz"
    skippable = head[1:4] == _ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F
    return ".zst" if skippable or head.startswith(_ZSTD_MAGIC) else ""


def decompressed(stream: BinaryIO, compression: str) -> BinaryIO:
    """Return the decompressed stream; `compression` is `.gz` or `.zst`, any other is none.

    However much a frame expands, a buffer's worth is decompressed at a time. Frames may follow one another. The last
    one cut short raises EOFError, damage zlib.error, gzip.BadGzipFile or ZstdError.
    """
    if compression == ".gz":
        return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=stream), _BUFFER))
    if compression == ".zst":
        head = read_head(stream, 1)  # ZstdFile takes an empty file for one that is cut short
        return cast("BinaryIO", io.BufferedReader(ZstdFile(replayed(head, stream)), _BUFFER)) if head else stream
    return stream
