"""Finds the job that the same content was submitted as, so that a file is not applied twice by mistake."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.job_states import SUBMITTED_KEEP_S, Jobs
from ledger.keys import JobKeys, fingerprint_key
from ledger.scripts import load_script

ALIVE_S = 10.0
"""Life of a producer's word that it is still storing a job; it is renewed with every group of shards."""


class Claim(NamedTuple):
    """The job that has the content now, and the `former` one that had it and did not count, where it is still there."""

    job_id: str
    former: str | None = None


def counts_as_submitted(job: Job) -> bool:
    """Return whether the job's content need not be submitted again: it will be carried out, or was for some rows.

    A job that was cancelled or lost, or that ended without a row `updated` or `unchanged`, applied nothing to rely on.
    """
    if job.state is JobState.FINISHED:
        return job.counts.updated + job.counts.unchanged > 0
    return not job.state.ended


class Fingerprints:
    """The fingerprints of submitted content in one ledger."""

    def __init__(self, redis: Redis, jobs: Jobs) -> None:
        self._redis = redis
        self._jobs = jobs
        self._claim = load_script(redis, "claim")

    async def claim(self, fingerprint: str, job_id: str, keep_s: float) -> Claim:
        """Take the fingerprint for the job, unless another job has it and counts (`counts_as_submitted`).

        A job whose producer died before all of it was stored is removed; one that is being stored is waited for.
        """
        await self.still_storing(job_id)
        former = ""
        while True:
            args: list[str | int] = [former, job_id, _life_ms(keep_s)]
            holder: str = (await self._claim([fingerprint_key(fingerprint)], args)).decode()
            if holder == job_id:
                return Claim(job_id, await self._put_away(former) if former else None)
            job = await self._whole(holder)
            if job is not None and counts_as_submitted(job):
                return Claim(holder)
            former = holder

    async def holder(self, fingerprint: str) -> str | None:
        """Return the id of the job that has the fingerprint, was stored whole and counts; None where there is none."""
        raw = await self._redis.get(fingerprint_key(fingerprint))
        if not isinstance(raw, bytes):
            return None
        job = await self._find(raw.decode())
        return raw.decode() if job and job.state is not JobState.SUBMITTING and counts_as_submitted(job) else None

    async def take(self, fingerprint: str, job_id: str, keep_s: float) -> None:
        """Take the fingerprint for the job whoever has it."""
        await self.still_storing(job_id)
        await self._redis.set(fingerprint_key(fingerprint), job_id, px=_life_ms(keep_s))

    async def still_storing(self, job_id: str) -> None:
        """Record that the job's producer is alive."""
        await self._redis.set(JobKeys(job_id).producer, "1", px=int(ALIVE_S * 1000))

    async def is_storing(self, job_id: str) -> bool:
        """Return whether the job's producer is alive."""
        return bool(await self._redis.exists(JobKeys(job_id).producer))

    async def _find(self, job_id: str) -> Job | None:
        try:
            return await self._jobs.get(job_id)
        except NoSuchJob:
            return None

    async def _whole(self, job_id: str) -> Job | None:
        """Return the job, None where it is gone or was left half stored; wait while its producer is at it."""
        while True:
            alive = await self.is_storing(job_id)
            job = await self._find(job_id)
            if job is not None and job.state is not JobState.SUBMITTING:
                return job
            if not alive:
                return None
            await asyncio.sleep(0.2)

    async def _put_away(self, former: str) -> str | None:
        """Remove a job that was left half stored; return the id of any other, which stays readable."""
        job = await self._find(former)
        if job is None or job.state is JobState.SUBMITTING:
            await self._jobs.discard(former)
            return None
        return former


def _life_ms(keep_s: float) -> int:
    """Return how long content leads to its job: as long as the job may be there; `Jobs.retire` shortens it."""
    return int((SUBMITTED_KEEP_S + keep_s) * 1000)
