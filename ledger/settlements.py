"""Writes down what became of rows and what was there before: the two writes that nothing may skip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.codec import BeforeImage, Detail, Tries, pack_detail, pack_images, pack_tries
from ledger.errors import LeaseLost, StateLost
from ledger.job import Traffic
from ledger.job_states import SUBMITTED_KEEP_S
from ledger.keys import JobKeys, claim_key
from ledger.row import Outcome
from ledger.scripts import Argument, load_script
from ledger.shards import LeasedShard

LEASE_LOST = -2
"""What the scripts answer to a worker whose lease ran out."""


class Settlement(NamedTuple):
    """A row's end: its number within the shard, how it ended, and what there is to say."""

    row: int
    outcome: Outcome
    detail: Detail | None = None


class Settlements:
    """Settles rows and keeps their before-images."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._settle = load_script(redis, "settle")
        self._journal = load_script(redis, "journal")
        self._hand_back = load_script(redis, "hand_back")

    async def settle(self, shard: LeasedShard, settlements: Sequence[Settlement], traffic: Traffic) -> int:
        """Write outcomes where there is none yet and count what was written; safe to say twice.

        `traffic` is what the turn cost so far, of which what was counted before is not counted again.

        Raises:
            StateLost: the job is gone.
            LeaseLost: the shard is another's by now, whose results count.

        """
        keys = JobKeys(shard.spec.job_id)
        args: list[Argument] = [shard.number, shard.owner, traffic.requests, traffic.retries, traffic.throttled]
        for row, outcome, detail in settlements:
            args += (shard.first_row + row, int(outcome), pack_detail(detail) if detail else b"")
        touched = [keys.job, keys.counts, keys.outcomes, keys.details, keys.crashes, keys.pace, keys.tries, keys.owners]
        touched += (keys.audit, keys.times)
        written = int(await self._settle(touched, args))
        if written == LEASE_LOST:
            raise LeaseLost(shard.spec.job_id)
        if written < 0:
            raise StateLost(shard.spec.job_id)
        return written

    async def hand_back(self, shard: LeasedShard, tries: Mapping[int, Tries], traffic: Traffic) -> None:
        """Store how often rows failed that go on in the next turn, and the turn's traffic; safe to repeat."""
        keys = JobKeys(shard.spec.job_id)
        args: list[Argument] = [shard.number, shard.owner, traffic.requests, traffic.retries, traffic.throttled]
        for row, tried in tries.items():
            args += (shard.first_row + row, pack_tries(tried))
        await self._hand_back([keys.job, keys.counts, keys.tries, keys.owners, keys.pace], args)

    async def journal(self, shard: LeasedShard, images: list[BeforeImage], claims: Sequence[str]) -> list[str]:
        """Store the before-images; when this returns an empty list, the server has them.

        `claims` are those on the rows' completions. Where some are lost, these are returned and no image is kept.

        Raises:
            StateLost: the job is gone.
            LeaseLost: the shard is another's by now, who may have read what this turn wrote.

        """
        keys = JobKeys(shard.spec.job_id)
        args: list[Argument] = [shard.number, shard.owner, pack_images(images), int(SUBMITTED_KEEP_S * 1000)]
        touched = [keys.job, keys.owners, keys.journal(shard.number), *map(claim_key, claims)]
        answer = await self._journal(touched, [*args, shard.spec.job_id])
        if answer == -1:
            raise StateLost(shard.spec.job_id)
        if answer == LEASE_LOST:
            raise LeaseLost(shard.spec.job_id)
        return [claims[place - 1] for place in answer]
