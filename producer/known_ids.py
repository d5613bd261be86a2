"""Knows the completions of a file by hashes of eight bytes, so that a million of them fit into some megabytes."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Container, Iterator

import msgspec

from ledger.row import Patch
from producer.check import Checked

_TOGETHER = 1000
_BUCKET_ROWS = 1 << 16  # rows a bucket has on average: some MB of Python objects while it is sorted

_decode = msgspec.msgpack.Decoder(list[Patch]).decode


class KnownIds:
    """Tells of any id whether the file has it, and gives it a place: a number below `len`."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        buckets = [array("q") for _ in range(checked.total // _BUCKET_ROWS + 1)]
        for patch in self._patches():
            value = hash(patch.completion_id)
            buckets[value % len(buckets)].append(value)
        self._buckets = [array("q", sorted(bucket)) for bucket in buckets]
        self._first = [0]
        for bucket in self._buckets:
            self._first.append(self._first[-1] + len(bucket))

    def __len__(self) -> int:
        return self._first[-1]

    def place(self, completion_id: str) -> int | None:
        """Give the id's place, None where the file does not have it."""
        value = hash(completion_id)
        number = value % len(self._buckets)
        bucket = self._buckets[number]
        at = bisect_left(bucket, value)
        return self._first[number] + at if at < len(bucket) and bucket[at] == value else None

    def lines(self, places: Container[int]) -> Iterator[int]:
        """Give the lines of the ids at some places, in file order."""
        return (patch.line for patch in self._patches() if self.place(patch.completion_id) in places)

    def _patches(self) -> Iterator[Patch]:
        return (patch for shard in self._checked.shards(_TOGETHER) for patch in _decode(shard.body))
