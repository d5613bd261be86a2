"""Streams that undo gzip and zstd, and a stream that gives back a head already read."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after one byte of 0x50-0x5f: what pzstd and seekable files begin with
_FEED = 4096  # small, because a zstd block may grow by thousands of times
_BUFFER = 1 << 17


class Replay(io.RawIOBase):
    """A stream whose first bytes were read already: gives `head`, then what is left of `rest`."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        """Whether bytes can be read: always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer; 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self._head or self._rest.read(len(view)) or b""
        self._head = data[len(view) :]
        data = data[: len(view)]
        view[: len(data)] = data
        return len(data)


class ZstdFrames(io.RawIOBase):
    """All frames of a zstd stream one after the other; raises EOFError when the last one is cut short.

    `zstandard`'s own `stream_reader` takes a cut frame for the end of the data and says nothing (0.25, measured).
    """

    def __init__(self, compressed: BinaryIO) -> None:
        self._compressed = compressed
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._waiting = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        """Whether bytes can be read: always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with decompressed bytes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        while not self._plain:
            data = self._waiting or self._compressed.read(_FEED)
            if not data and self._frame is None:
                return 0
            if not data:
                raise EOFError("the last zstd frame is cut short")
            self._plain = memoryview(self._feed(data))
        size = min(len(view), len(self._plain))
        view[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

    def _feed(self, data: bytes) -> bytes:
        frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
        plain = frame.decompress(data)
        self._frame = None if frame.eof else frame
        self._waiting = frame.unused_data if frame.eof else b""
        return plain


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
    """Undo the compression named by a suffix, `.gz` or `.zst`; any other is none."""
    if compression == ".gz":
        return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=stream), _BUFFER))
    if compression == ".zst":
        return cast("BinaryIO", io.BufferedReader(ZstdFrames(stream), _BUFFER))
    return stream
