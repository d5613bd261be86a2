"""What a plan has found in the shards that closed: their digests, and how many rows would change which value to which.

The digests are one field a shard. The changes are bounded whatever the file holds: of a key with more values, the first
ones are counted each, and the rows of the others together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.errors import StateLost
from ledger.job_spec import JobSpec
from ledger.keys import JobKeys
from ledger.scripts import Argument, load_script

MOST_OF_KEY, MOST_CHANGES = 500, 5_000
"""Changes that are counted each: of one key, and of one plan."""
MOST_BYTES = 4_096
"""Length of a change that is counted by itself; at the API's limits, one takes about 1,100 characters."""

_encode = msgspec.msgpack.Encoder().encode


class ValueChange(NamedTuple):
    """What a row would make of one key; None where the completion does not have it."""

    key: str
    before: str | None
    after: str | None


class PlanCounts(NamedTuple):
    """Rows by what they would change, and by key the rows of changes that are not counted each ('' for all keys)."""

    changes: Counter[ValueChange]
    others: Counter[str]


_decode = msgspec.msgpack.Decoder(ValueChange).decode


class Plans:
    """What the plans in one ledger have found."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._count_shard = load_script(redis, "count_shard")
        self._set_digest = load_script(redis, "set_digest")

    async def add(self, job_id: str, shard: int, digest: str, changes: Mapping[ValueChange, int]) -> None:
        """Count a closed shard, once, however often it is added."""
        keys = JobKeys(job_id)
        args: list[Argument] = [shard, digest, MOST_OF_KEY, MOST_CHANGES]
        for change, rows in changes.items():
            packed = _encode(change)
            args += (change.key, packed if len(packed) <= MOST_BYTES else b"", rows)
        await self._count_shard([keys.job, keys.digests, keys.changes], args)

    async def set_digest(self, job_id: str, digest: str) -> None:
        """Keep the digest of all rows with the job."""
        await self._set_digest([JobKeys(job_id).job], [digest])

    async def digests(self, spec: JobSpec) -> list[str | None]:
        """Return the digest of each shard in order; None for one that was not counted yet."""
        found = {int(number): digest.decode() for number, digest in await self._fields(JobKeys(spec.job_id).digests)}
        return [found.get(number) for number in range(spec.shards)]

    async def read(self, job_id: str) -> PlanCounts:
        """Return what the shards that were counted so far would change.

        Raises:
            StateLost: it is not what was stored.

        """
        found = PlanCounts(Counter(), Counter())
        try:
            for field, rows in await self._fields(JobKeys(job_id).changes):
                if field[:1] == b"=":
                    found.changes[_decode(field[1:])] = int(rows)
                elif field[:1] == b"+":
                    found.others[field[1:].decode()] = int(rows)
        except (ValueError, msgspec.MsgspecError) as error:
            raise StateLost(job_id) from error
        return found

    async def _fields(self, key: str) -> list[tuple[bytes, bytes]]:
        fields: dict[Any, Any] = await self._redis.hgetall(key)
        return list(fields.items())
