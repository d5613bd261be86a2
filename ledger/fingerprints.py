"""Finds the job that the same content was submitted as, so that a file is not applied twice by mistake."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from ledger.job import JobState
from ledger.jobs import SUBMITTED_KEEP_S, Jobs, NoSuchJob
from ledger.keys import JobKeys, fingerprint_key
from ledger.scripts import load_script

ALIVE_S = 10.0
"""Life of a producer's word that it is still storing a job; it is renewed with every group of shards."""


class Fingerprints:
    """The fingerprints of submitted content in one ledger."""

    def __init__(self, redis: Redis, jobs: Jobs) -> None:
        self._redis = redis
        self._jobs = jobs
        self._claim = load_script(redis, "claim")

    async def claim(self, fingerprint: str, job_id: str, keep_s: float) -> str:
        """Take the fingerprint for the job; give the id of the job that has it, which may be another one.

        A job whose producer died before all of it was stored is replaced; one that is being stored is waited for.
        """
        await self.still_storing(job_id)
        replace = ""
        while True:
            args: list[str | int] = [replace, job_id, _life_ms(keep_s)]
            holder: str = (await self._claim([fingerprint_key(fingerprint)], args)).decode()
            if holder == job_id:
                if replace:
                    await self._jobs.discard(replace)
                return job_id
            if not await self._is_abandoned(holder):
                return holder
            replace = holder

    async def holder(self, fingerprint: str) -> str | None:
        """Give the id of the job that has the fingerprint and was stored whole; None where there is none."""
        raw = await self._redis.get(fingerprint_key(fingerprint))
        if not isinstance(raw, bytes):
            return None
        holder = raw.decode()
        try:
            state = (await self._jobs.get(holder)).state
        except NoSuchJob:
            return None
        return None if state in {JobState.SUBMITTING, JobState.LOST} else holder

    async def take(self, fingerprint: str, job_id: str, keep_s: float) -> None:
        """Take the fingerprint for the job whoever has it."""
        await self.still_storing(job_id)
        await self._redis.set(fingerprint_key(fingerprint), job_id, px=_life_ms(keep_s))

    async def still_storing(self, job_id: str) -> None:
        """Say that the job's producer is alive."""
        await self._redis.set(JobKeys(job_id).producer, "1", px=int(ALIVE_S * 1000))

    async def _is_abandoned(self, job_id: str) -> bool:
        """Tell whether the job is gone or was left half stored; wait while its producer is at it."""
        while True:
            alive = await self._redis.exists(JobKeys(job_id).producer)
            try:
                state = (await self._jobs.get(job_id)).state
            except NoSuchJob:
                state = None
            if state is not None and state is not JobState.SUBMITTING:
                return state is JobState.LOST
            if not alive:
                return True
            await asyncio.sleep(0.2)


def _life_ms(keep_s: float) -> int:
    """Return how long content leads to its job: as long as the job may be there; `Jobs.retire` shortens it."""
    return int((SUBMITTED_KEEP_S + keep_s) * 1000)
