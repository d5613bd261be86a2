"""Lets one worker at a time work on a completion, whichever jobs it stands in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from redis.asyncio import Redis

from ledger.keys import claim_key
from ledger.scripts import load_script

CLAIM_S = 8.0
"""Life of a claim that is not renewed; as long as a lease, so that both of a dead worker end together."""
TAKEN = ord("1")


def claim_of(target: str, completion_id: str) -> str:
    """Name a completion of an API; nothing can be read from it."""
    return hashlib.blake2b(f"{target}\0{completion_id}".encode(), digest_size=12).hexdigest()


class Claims:
    """The claims in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._swap = load_script(redis, "claim_rows")

    async def swap(self, owner: str, give_up: Sequence[str], take: Sequence[str]) -> list[bool]:
        """Give some claims up and take others, or keep them; tell which of the latter the owner has. Safe to repeat."""
        keys = [claim_key(claim) for claim in (*give_up, *take)]
        taken: bytes = await self._swap(keys, [owner, int(CLAIM_S * 1000), len(give_up)])
        return [mark == TAKEN for mark in taken]
