"""What was submitted with which idempotency key, so that a request that is sent again makes no second job.

The id of the job stands there before the job does: whoever dies in between leaves nothing that is made twice.
"""

from __future__ import annotations

import hashlib

import msgspec
from redis.asyncio import Redis

from ledger.keys import idempotency_key, idempotency_lock
from ledger.lock import Lock

KEEP_S = 86_400
"""Life of a key."""
LOCK_S = 30.0
"""Time after which the key of a request whose server died is free again."""


class SubmittedWithKey(msgspec.Struct, frozen=True):
    """The job that a request made, and a digest of the request: its content and its options.

    `is_stored` is false as long as the job may not be there yet.
    """

    job_id: str
    digest: str
    is_stored: bool = True


class IdempotencyKeys:
    """The keys of one ledger; each belongs to one caller."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def lock(self, caller: str, key: str) -> Lock:
        """Return the lock of the request with this key that is under way."""
        return Lock(self._redis, idempotency_lock(_name(caller, key)), life_s=LOCK_S)

    async def find(self, caller: str, key: str) -> SubmittedWithKey | None:
        """Return what was submitted with a key within a day; None where nothing was."""
        packed = await self._redis.get(idempotency_key(_name(caller, key)))
        return msgspec.json.decode(packed, type=SubmittedWithKey) if isinstance(packed, bytes) else None

    async def keep(self, caller: str, key: str, submitted: SubmittedWithKey) -> None:
        """Record what is or was submitted with a key."""
        await self._redis.set(idempotency_key(_name(caller, key)), msgspec.json.encode(submitted), ex=KEEP_S)

    async def forget(self, caller: str, key: str) -> None:
        """Free a key with which nothing was submitted."""
        await self._redis.delete(idempotency_key(_name(caller, key)))


def _name(caller: str, key: str) -> str:
    """Return what stands for a caller's key in Redis: either may be a secret."""
    return hashlib.sha256(f"{caller}\0{key}".encode()).hexdigest()[:32]
