"""How rows, details and before-images are packed: msgpack, compressed where it pays."""

from __future__ import annotations

import zlib
from typing import TypeVar

import msgspec

from config.text import CODE_CHARS, REASON_CHARS, REQUEST_ID_CHARS, sanitize
from ledger.errors import StateLost
from ledger.row import Metadata, Patch, Rejection, UnsentRow

_LEVEL = 1  # measured on 500 rows: level 6 saves 4 % more and costs three times the CPU
ROW_BYTES = 1 << 17
"""Bytes that a row of a shard, or a before-image, may take on average. At the API's limits it takes 37 kB."""
PAGE_ROWS = 100
"""Completions that a page of the list may have (contract section 1)."""
REJECTION_BYTES = (1 << 20) + 4096
"""Bytes that a rejected row may take: it holds a line of the input as it was read."""
_LEAST_BYTES, _MOST_BYTES = 1 << 24, 1 << 30  # so that few rows may be larger, and no number of rows is believed
_WRITTEN_AGAIN = 2  # a row's image is written once, and once more where the service stored something else
_LEAST_ITEMS = 4096  # before-images that a worker may write together

_LENGTH = 4  # bytes of the length in front of a journal group


class Detail(msgspec.Struct, frozen=True, array_like=True):
    """What there is to say about a settled row: why it failed, or that a read confirmed it.

    `status` is the HTTP status, 0 where there was no answer; `at` is seconds since the epoch.
    """

    code: str
    status: int
    message: str
    request_id: str
    attempts: int
    at: float


class Tries(msgspec.Struct, frozen=True, array_like=True):
    """How often a row that was handed back has failed.

    `in_doubt` tells whether a write of it may have happened; `final_failure` what it ends with where it was about to be
    given up. `stale_reads` is how often it was shown the state before a recorded write, and `stale_since` when first,
    in seconds since the epoch. `written_at` is when a row was written that is still to be read back, 0 for any other.
    """

    failures: int
    in_doubt: bool
    final_failure: Detail | None = None
    stale_reads: int = 0
    stale_since: float = 0.0
    written_at: float = 0.0


class BeforeImage(msgspec.Struct, frozen=True, array_like=True):
    """The metadata of a completion before a job changed it. `row` counts from 0 within the shard.

    `altered` is what the service held after the job's write of each key that it stored otherwise than it was sent
    (None: does not hold it); such a value is the job's own doing. Journals of release one have no such field.
    """

    row: int
    metadata: Metadata
    altered: dict[str, str | None] | None = None


class _Named(msgspec.Struct, array_like=True):
    """The head of a `Patch`: what follows it is skipped without being decoded."""

    line: int
    completion_id: str


T = TypeVar("T")

_patches = msgspec.msgpack.Decoder(list[Patch])
_named = msgspec.msgpack.Decoder(list[_Named])
_rejections = msgspec.msgpack.Decoder(list[Rejection])
_unsent = msgspec.msgpack.Decoder(list[UnsentRow])
_images = msgspec.msgpack.Decoder(list[BeforeImage])
_detail = msgspec.msgpack.Decoder(Detail)
_tries = msgspec.msgpack.Decoder(Tries)
_encode = msgspec.msgpack.Encoder().encode


def pack_shard(body: bytes) -> bytes:
    """Compress a shard's patches, given as one msgpack array."""
    return zlib.compress(body, _LEVEL)


def pack_page(patches: list[Patch]) -> bytes:
    """Pack what a selection took of a page of the list."""
    return zlib.compress(_encode(patches), _LEVEL)


def unpack_page(packed: bytes) -> list[Patch]:
    """Return what a selection took of a page.

    Raises:
        StateLost: it is not what was stored.

    """
    return _unpack(packed, _patches, PAGE_ROWS, ROW_BYTES)


def completion_ids(body: bytes) -> list[str]:
    """Return the ids of a shard's patches, given as one msgpack array that is not compressed."""
    return [patch.completion_id for patch in _named.decode(body)]


def unpack_shard(packed: bytes, rows: int) -> list[Patch]:
    """Return the patches of a shard of so many rows, in order.

    Raises:
        StateLost: it is not what was stored.

    """
    patches = _unpack(packed, _patches, rows, ROW_BYTES)
    if len(patches) != rows:
        raise StateLost
    return patches


def pack_rejections(rejections: list[Rejection]) -> bytes:
    """Pack a group of rejected rows."""
    return zlib.compress(_encode(rejections), _LEVEL)


def unpack_rejections(packed: bytes, rows: int) -> list[Rejection]:
    """Return a group of at most so many rejected rows.

    Raises:
        StateLost: it is not what was stored.

    """
    return _unpack(packed, _rejections, rows, REJECTION_BYTES)


def pack_unsent(rows: list[UnsentRow]) -> bytes:
    """Pack a group of rows for which nothing is sent."""
    return zlib.compress(_encode(rows), _LEVEL)


def unpack_unsent(packed: bytes, rows: int) -> list[UnsentRow]:
    """Return a group of at most so many rows for which nothing is sent.

    Raises:
        StateLost: it is not what was stored.

    """
    return _unpack(packed, _unsent, rows, ROW_BYTES)


def pack_detail(detail: Detail) -> bytes:
    """Pack what there is to say about a row."""
    return _encode(detail)


def unpack_detail(packed: bytes) -> Detail:
    """Return what there is to say about a row, sanitized: release one kept request ids as the server sent them."""
    found = _detail.decode(packed)
    said = {
        "code": sanitize(found.code, CODE_CHARS),
        "message": sanitize(found.message, REASON_CHARS),
        "request_id": sanitize(found.request_id, REQUEST_ID_CHARS),
    }
    return msgspec.structs.replace(found, **said)


def unpack_code(packed: bytes) -> str:
    """Return the code alone, sanitized: of many rows that costs a tenth of `unpack_detail`."""
    return sanitize(_detail.decode(packed).code, CODE_CHARS)


def pack_tries(tries: Tries) -> bytes:
    """Pack how often a row has failed."""
    return _encode(tries)


def unpack_tries(packed: bytes) -> Tries:
    """Return how often a row has failed."""
    return _tries.decode(packed)


def pack_images(images: list[BeforeImage]) -> bytes:
    """Pack a group of before-images so that groups can be appended to each other."""
    group = zlib.compress(_encode(images), _LEVEL)
    return len(group).to_bytes(_LENGTH, "big") + group


def unpack_images(journal: bytes, rows: int) -> dict[int, BeforeImage]:
    """Return the before-image of each row in the journal of a shard of so many rows.

    The last one written for a row counts (see `worker.reconcile`).

    Raises:
        StateLost: it is not what was stored.

    """
    images: dict[int, BeforeImage] = {}
    at, left = 0, _WRITTEN_AGAIN * _most_bytes(rows, ROW_BYTES)
    while at < len(journal):
        end = at + _LENGTH + int.from_bytes(journal[at : at + _LENGTH], "big")
        body = _inflated(journal[at + _LENGTH : end], left)
        images |= {image.row: image for image in _decoded(body, _images, rows)}
        if len(images) > rows:
            raise StateLost
        at, left = end, max(1, left - len(body))
    return images


def compact_images(images: dict[int, BeforeImage]) -> bytes:
    """Pack a whole shard's before-images as one group, which is far smaller than many."""
    return pack_images([image for _, image in sorted(images.items())])


def _unpack(packed: bytes, decoder: msgspec.msgpack.Decoder[list[T]], rows: int, row_bytes: int) -> list[T]:
    """Decompress and decode an array, within what so many rows may take: whoever writes to Redis is not trusted."""
    return _decoded(_inflated(packed, _most_bytes(rows, row_bytes)), decoder, rows)


def _most_bytes(rows: int, row_bytes: int) -> int:
    return min(max(_LEAST_BYTES, rows * row_bytes), _MOST_BYTES)


def _inflated(packed: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(packed, most)
    except zlib.error as error:
        raise StateLost from error
    if not inflater.eof:
        raise StateLost
    return body


def _decoded(body: bytes, decoder: msgspec.msgpack.Decoder[list[T]], rows: int) -> list[T]:
    if not body or _array_length(body) > max(rows, _LEAST_ITEMS):
        raise StateLost
    return decoder.decode(body)


def _array_length(body: bytes) -> int:
    """Return the length in the head of a msgpack array (msgpack specification: array 16, array 32, fixarray)."""
    size = {0xDC: 2, 0xDD: 4}.get(body[0])
    return int.from_bytes(body[1 : 1 + size], "big") if size else body[0] & 0x0F
