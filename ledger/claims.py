"""Lets one worker at a time work on a completion, whichever jobs it stands in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.errors import LeaseLost, StateLost
from ledger.keys import JobKeys, claim_key
from ledger.records import LEAST_LIFE_S, Record, pack_record, unpack_record
from ledger.scripts import Argument, load_script
from ledger.shards import LEASE_S

NO_JOB = "-"
KEPT, BLOCKED = (ord(mark) for mark in "10")
TAKEN_OVER, WITH_RECORD = b"24", b"34"


def claim_of(target: str, completion_id: str) -> str:
    """Return the name of a claim on a completion of an API; nothing can be read from it."""
    return hashlib.blake2b(f"{target}\0{completion_id}".encode(), digest_size=12).hexdigest()


def claim_life_s(timeout_s: float) -> float:
    """Return the seconds for which a claim outlives its last renewal.

    A request that leaves just before its worker dies may run for `timeout_s` more.
    """
    return timeout_s + LEASE_S


class Claimant(NamedTuple):
    """Who claims: a worker by its lease on a job's shard, or a probe, which has no job.

    `life_s` is that of a claim, `record_life_s` that of what is left in its place, both in seconds.
    """

    owner: str
    life_s: float
    job_id: str = NO_JOB
    shard: int = 0
    record_life_s: float = LEAST_LIFE_S


class GivenUp(NamedTuple):
    """A claim to release, and the record to leave in its place; without one, that which the claim found stays."""

    claim: str
    record: Record | None = None


class Taken(NamedTuple):
    """What came of asking for a claim.

    `taken_over` says that an earlier owner of the same job had it, whose write may have happened or may still be
    running. `blocked_by` is the job that has it where it is not ours, '' where no job is known. `record` is what the
    last settled write left, if it is not long ago.
    """

    is_ours: bool
    taken_over: bool = False
    blocked_by: str = ""
    record: Record | None = None


class Swapped(NamedTuple):
    """Whether each claim that was to be kept is still ours, and what came of each that was to be taken."""

    kept: list[bool]
    taken: list[Taken]


class Claims:
    """The claims in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._swap = load_script(redis, "claim_rows")

    async def swap(
        self,
        claimant: Claimant,
        *,
        give_up: Sequence[GivenUp] = (),
        keep: Sequence[str] = (),
        take: Sequence[str] = (),
    ) -> Swapped:
        """Release some claims, renew others, and take more; safe to repeat.

        A claim to keep that is gone is not taken anew: others may have changed the completion meanwhile.

        Raises:
            StateLost: the job is gone.
            LeaseLost: the shard is another's by now. What was to be given up is given up all the same.

        """
        owner, life_s, job_id, shard, record_life_s = claimant
        keys = [claim_key(claim) for claim in (*(given.claim for given in give_up), *keep, *take)]
        if job_id != NO_JOB:
            keys += (JobKeys(job_id).job, JobKeys(job_id).owners)
        args: list[Argument] = [job_id, owner, shard, int(life_s * 1000), len(give_up), len(keep)]
        args.append(int(record_life_s * 1000))
        args += (pack_record(given.record) if given.record else b"" for given in give_up)
        answer = await self._swap(keys, args)
        if answer == -1:
            raise StateLost(job_id)
        if answer == -2:
            raise LeaseLost(job_id)
        kept, taken, *rest = answer
        words = iter(rest)
        return Swapped([mark == KEPT for mark in kept], [_taken(mark, words) for mark in taken])


class NoClaims:
    """Stands in for claims where rows are only read: such a job holds back no other one, and waits for none."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def swap(
        self,
        _claimant: Claimant,
        *,
        give_up: Sequence[GivenUp] = (),  # noqa: ARG002 - as in `Claims.swap`
        keep: Sequence[str] = (),
        take: Sequence[str] = (),
    ) -> Swapped:
        """Return all claims as ours, with the records that writes have left; nothing is taken."""
        held = await self._redis.mget([claim_key(claim) for claim in take]) if take else []
        return Swapped([True] * len(keep), [Taken(is_ours=True, record=_record_in(value)) for value in held])


_RECORDED = re.compile(rb"(?:= |\S+ \S+ \d )(\d+) (.*)", re.DOTALL)  # as `record_of` in lua/claim_rows.lua


def _record_in(value: object) -> Record | None:
    """Return the record in what stands in the place of a claim; one that counts no more only costs a wait."""
    found = _RECORDED.fullmatch(value) if isinstance(value, bytes) else None
    return unpack_record(found[2]) if found else None


def _taken(mark: int, words: Iterator[bytes]) -> Taken:
    if mark == BLOCKED:
        return Taken(is_ours=False, blocked_by=next(words).decode())
    record = unpack_record(next(words)) if mark in WITH_RECORD else None
    return Taken(is_ours=True, taken_over=mark in TAKEN_OVER, record=record)
