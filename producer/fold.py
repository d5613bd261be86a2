"""Folds the rows that name the same completion into the first of them, in file order."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import msgspec

from ledger.job import Mode
from ledger.row import Patch
from producer.limits import too_much

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from producer.spool import Spool

_BUCKET_ROWS = 1 << 16  # rows a bucket has on average: some MB of Python objects at a time

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Patch).decode


def fold(spool: Spool, hashes: array[int], mode: Mode, refuse: Callable[[Patch, str], None]) -> int:
    """Fold the spooled patches and give the number of rows that went into an earlier one.

    `hashes` holds a hash of each row's id: rows of one id share it, other rows may. In `merge` mode later keys win
    over earlier ones and the keys unite; in `replace` mode the last row wins whole. A row that would bring its
    completion over 16 pairs is dropped and handed to `refuse` with the reason; the rows before it stay.
    """
    folded = 0
    for bucket in _buckets(hashes):
        if len(set(map(hashes.__getitem__, bucket))) < len(bucket):
            folded += _fold_bucket(spool, _sharing_a_hash(bucket, hashes), mode, refuse)
    return folded


def _buckets(hashes: array[int]) -> list[array[int]]:
    """Deal the row numbers out so that rows of one id meet in one bucket, each in file order."""
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


def _fold_bucket(spool: Spool, rows: Iterator[int], mode: Mode, refuse: Callable[[Patch, str], None]) -> int:
    heads: dict[str, tuple[int, Patch]] = {}
    changed: set[str] = set()
    folded = 0
    for row in rows:
        later = _decode(spool.read(row))
        place, first = heads.setdefault(later.completion_id, (row, later))
        if place == row:
            continue
        spool.drop(row)
        patch = folded_patch(first, later, mode)
        if fault := too_much(patch.metadata):
            refuse(later, f"with line {first.line} it {fault}")
            continue
        heads[later.completion_id] = (place, patch)
        changed.add(later.completion_id)
        folded += 1
    for completion_id in changed:
        place, patch = heads[completion_id]
        spool.replace(place, _encode(patch))
    return folded


def folded_patch(first: Patch, later: Patch, mode: Mode) -> Patch:
    """Fold a later row into the patch so far, which keeps its line."""
    metadata = later.metadata if mode is Mode.REPLACE else first.metadata | later.metadata
    return Patch(first.line, first.completion_id, metadata)
