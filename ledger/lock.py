"""Lets one worker at a time do what must not be done twice at once."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

from redis.asyncio import Redis

from ledger.cancellation import end_tasks, is_cancelled
from ledger.connect import AWAY
from ledger.scripts import load_script

KEEP_EVERY = 5
"""How often a lock is renewed within its life."""


class Lock:
    """A lock that runs out `life_s` seconds after its owner's last word, as of one that died."""

    def __init__(self, redis: Redis, key: str, *, life_s: float) -> None:
        self._redis = redis
        self._key = key
        self._life_s = life_s
        self._owner = secrets.token_hex(8)
        self._hold = load_script(redis, "hold")

    @property
    def owner(self) -> str:
        """What stands in the lock while it is this one's."""
        return self._owner

    async def take(self) -> bool:
        """Take or renew it; return False where another has it."""
        return bool(await self._hold([self._key], [self._owner, int(self._life_s * 1000)]))

    async def release(self) -> None:
        """Release it, so that others may take it at once."""
        await self._hold([self._key], [self._owner, 0])

    async def is_held(self) -> bool:
        """Return whether anybody has it."""
        return bool(await self._redis.exists(self._key))

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """Hold it for as long as the block runs, however long that is; yield False where another has it."""
        if not await self.take():
            yield False
            return
        keeper = asyncio.create_task(self._keep())
        try:
            yield True
        finally:
            await end_tasks([keeper])
            with contextlib.suppress(*AWAY):
                await self.release()

    async def _keep(self) -> None:
        while not is_cancelled():
            await asyncio.sleep(self._life_s / KEEP_EVERY)
            with contextlib.suppress(*AWAY):
                await self.take()
