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
    """What an update does with null or an empty text: in place of a value, or of the whole map.

    `clears`: in place of a value, it takes all other keys along. `unclear`: the completion had one key only, so that
    nobody can tell whether others would have stayed.
    """

    REMOVES = "removes"
    CLEARS = "clears"
    UNCLEAR = "unclear"
    KEPT = "kept"
    IGNORED = "ignored"
    CHANGES = "changes"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class PairLimit(enum.StrEnum):
    """Which pairs the service counts where it allows 16: those that are sent, or those that come of it."""

    REQUEST = "request"
    RESULT = "result"
    UNKNOWN = "unknown"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Times are medians in seconds; `visible_after_s` counts from an update's answer.

    `at` is in seconds since the epoch; it is for people, who take it for a day. `reply_echoes`: the answer to an update
    shows what was sent, though a read shows something else. `listed_at_once`: a page of the list shows an update as
    soon as a read does, None where no page shows the completion. The last four are None in what release one found.
    """

    semantics: Semantics
    null_value: Null
    null_map: Null
    read_s: float
    write_s: float
    visible_after_s: float
    at: float
    empty_value: Null | None = None
    pair_limit: PairLimit | None = None
    reply_echoes: bool | None = None
    listed_at_once: bool | None = None

    @property
    def null_is_needed(self) -> bool:
        """Whether a key goes with null in place of its value, and stays where it is left out."""
        return self.semantics is Semantics.MERGES and self.null_value is Null.REMOVES


class Behaviours:
    """What is known of each endpoint in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, target: str, behaviour: Behaviour) -> None:
        """Store what was found at the base URL, in place of what was known before."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(BEHAVIOURS, target, msgspec.json.encode(behaviour))
            pipe.expire(BEHAVIOURS, KEEP_S)
            await pipe.execute()

    async def of(self, target: str) -> Behaviour | None:
        """Return what is known of the service at the base URL; None where nobody probed it, or another version did."""
        found = await self._redis.hget(BEHAVIOURS, target)
        try:
            return None if found is None else msgspec.json.decode(found, type=Behaviour)
        except msgspec.MsgspecError:
            return None
