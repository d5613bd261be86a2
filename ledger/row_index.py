"""The index of a job's rows by completion, by which the rows of one completion are found among all jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from redis.asyncio import Redis

from ledger.codec import completion_ids
from ledger.job_store import STORING_KEEP_S
from ledger.keys import JOBS, JobKeys
from ledger.scripts import load_script

HASH_BYTES, ROW_BYTES = 8, 4
ENTRY_BYTES = HASH_BYTES + ROW_BYTES
"""Bytes of a row in the index: the hash of its id, and its number in the job. `lua/find_rows.lua` reads the same."""
BUCKET_ROWS = 1 << 16
"""Rows that are sorted at a time, on average: some MB of Python objects."""
NO_INDEX = -1
SEARCHED_TOGETHER = 100
"""Jobs whose index is searched in one call of the script; of a million rows each, that takes Redis some ms."""


def id_hash(completion_id: str) -> bytes:
    """Return the hash of an id; others may share it, so that a hit has to be compared with the stored patch."""
    return hashlib.blake2b(completion_id.encode(), digest_size=HASH_BYTES).digest()


class IndexBuilder:
    """Sorts the rows of a job by the hash of their ids. Memory holds `ENTRY_BYTES` a row."""

    def __init__(self, rows: int) -> None:
        self._buckets = [bytearray() for _ in range(rows // BUCKET_ROWS + 1)]
        self._rows = 0

    def add(self, body: bytes) -> None:
        """Add the next shard of the job, a msgpack array of patches."""
        buckets, number = self._buckets, len(self._buckets)
        for row, completion_id in enumerate(completion_ids(body), self._rows):
            name = id_hash(completion_id)
            bucket = int.from_bytes(name[:4], "big") * number >> 32
            buckets[bucket] += name + row.to_bytes(ROW_BYTES, "big")
            self._rows = row + 1

    def parts(self) -> Iterator[bytes]:
        """Yield the sorted index, a bucket at a time."""
        for bucket in self._buckets:
            entries = bytes(bucket)
            yield b"".join(
                sorted(entries[at : at + ENTRY_BYTES] for at in range(0, len(entries), ENTRY_BYTES)),
            )


class RowIndexes:
    """The indexes of the jobs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._find = load_script(redis, "find_rows")

    async def store(self, job_id: str, at: int, part: bytes, *, size: int) -> None:
        """Store a part of a job's index from byte `at`; safe to repeat. `size` is that of the whole in bytes.

        The first part makes room for all of it: a string that grows is given up to twice what it needs.
        """
        key = JobKeys(job_id).row_index
        async with self._redis.pipeline(transaction=True) as pipe:
            if at == 0:
                pipe.setrange(key, size - 1, b"\0")
            pipe.setrange(key, at, part)
            pipe.pexpire(key, int(STORING_KEEP_S * 1000))
            await pipe.execute()

    async def search(self, completion_id: str) -> dict[str, list[int] | None]:
        """Return what `find` does for all jobs that are listed, oldest first; some of these may have expired."""
        listed: list[Any] = await self._redis.zrange(JOBS, 0, -1)
        return await self.find([job_id.decode() for job_id in listed], completion_id)

    async def find(self, job_ids: Sequence[str], completion_id: str) -> dict[str, list[int] | None]:
        """Return for each job the numbers of the rows that may be this completion's; None where it has no index."""
        found: dict[str, list[int] | None] = {job_id: [] for job_id in job_ids}
        for first in range(0, len(job_ids), SEARCHED_TOGETHER):
            group = job_ids[first : first + SEARCHED_TOGETHER]
            answers: list[Any] = await self._find(
                [JobKeys(job_id).row_index for job_id in group], [id_hash(completion_id)]
            )
            for place, *rows in answers:
                found[group[place - 1]] = None if rows == [NO_INDEX] else rows
        return found
