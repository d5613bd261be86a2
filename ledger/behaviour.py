"""How the service at an endpoint treats an update, as `relabel probe` found out; nothing of the completion it asked."""

from __future__ import annotations

import enum

import msgspec
from redis.asyncio import Redis

from ledger.keys import BEHAVIOURS

KEEP_S = 366 * 86_400


class Semantics(enum.StrEnum):
    """What an update does with a key that it does not name."""

    REPLACES = "replaces"
    MERGES = "merges"


class Null(enum.StrEnum):
    """What an update does with null: in place of a value, or of the whole map."""

    REMOVES = "removes"
    IGNORED = "ignored"
    CHANGES = "changes"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Times are medians in seconds; `visible_after_s` counts from an update's answer.

    `at` is in seconds since the epoch; it is for people, who take it for a day.
    """

    semantics: Semantics
    null_value: Null
    null_map: Null
    read_s: float
    write_s: float
    visible_after_s: float
    at: float


class Behaviours:
    """What is known of each endpoint in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, target: str, behaviour: Behaviour) -> None:
        """Keep what was found at the base URL, in place of what was known before."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(BEHAVIOURS, target, msgspec.json.encode(behaviour))
            pipe.expire(BEHAVIOURS, KEEP_S)
            await pipe.execute()

    async def of(self, target: str) -> Behaviour | None:
        """Give what is known of the service at the base URL; None where nobody probed it, or another version did."""
        found = await self._redis.hget(BEHAVIOURS, target)
        try:
            return None if found is None else msgspec.json.decode(found, type=Behaviour)
        except msgspec.MsgspecError:
            return None
