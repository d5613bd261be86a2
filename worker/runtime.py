"""Runs leased shards in one worker process, which holds open an event loop and clients of the API and the ledger."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from redis.asyncio import Redis

from completions.client import CompletionsApi, open_api
from completions.errors import StopJob
from completions.target import target_of
from config.api_key import read_api_key
from config.logs import safe_traceback
from config.settings import Settings
from ledger.connect import AWAY, describe, new_client
from ledger.errors import NoSuchJob, StateLost
from ledger.job import LOST_REASON, STATE_LOST_CODE, Job
from ledger.ledger import Ledger
from ledger.shards import LeaseAnswer, LeasedShard, ReleaseAnswer
from ledger.window import running_jobs
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from ratelimit.limits import Limits
from ratelimit.shared_rate import endpoint_of, record_use, shared_limit
from worker.checked_api import KnownCompletions
from worker.job_end import end_turn
from worker.job_log import log_started
from worker.read_ahead import PageReach
from worker.redis_outage import retry_while_unavailable
from worker.service import Service, service_of
from worker.shard_run import Bounds, ProcessResources, ShardRun
from worker.worker_key import Standby, WorkerKey, key_fingerprint

T = TypeVar("T")
SHARED_TURN_S = 5.0
"""Length of a run while several jobs are active, so that a small one need not wait long for its first."""
QUIET_S = 10.0
"""Bound of the wait until a worker whose key is refused has left the queue; another gets what it announces."""
OTHERS_START_S = 15.0
"""Seconds for which a job runs before it pauses as no worker calls its API: one may be starting."""
HAND_OVER_S = 1.0
"""Seconds for which a shard of another API is kept, so that its messages do not go round and round between workers."""
LAST_STEP_S = 2.0
"""Bound of the last try to hand a shard back when the worker is stopping; failing that, the lease expires."""

log = logging.getLogger(__name__)


class Runtime:
    """Carries out shards in this process, one at a time. Made after the fork, closed by its owner.

    `failure` is the code of what stopped the last run, '' where nothing did: a run that ends early is no failure.
    """

    def __init__(self, settings: Settings, *, stopping: Callable[[], bool], standby: Standby | None = None) -> None:
        self._settings = settings
        self._standby = standby or Standby()
        self._stopping = stopping
        self._runner = asyncio.Runner()
        self.failure = ""
        self._stack = AsyncExitStack()
        self._leased: Job | None = None
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    @property
    def _worker(self) -> str:
        """The worker's name, else that of this process."""
        return self._standby.worker or self._name

    def open(self) -> None:
        """Open the loop and the clients."""
        self._runner.run(self._open())

    def close(self) -> None:
        """Close the clients, then the loop that they live on."""
        try:
            self._runner.run(self._stack.aclose())
        finally:
            self._runner.close()

    def run_shard(self, job_id: str, number: int) -> list[int]:
        """Lease the shard, run it, and return the numbers of the shards to announce next."""
        return self._runner.run(self._run_shard(job_id, number))

    async def _open(self) -> None:
        self._redis: Redis = new_client(self._settings.ledger_url)
        self._stack.push_async_callback(self._redis.aclose)
        in_flight = self._settings.worker.in_flight
        read_key = functools.partial(read_api_key, self._settings)
        api = open_api(target_of(self._settings, ""), in_flight=in_flight, read_key=read_key)
        self._api: CompletionsApi = await self._stack.enter_async_context(api)
        self._ledger = Ledger(self._redis)
        self._limits = Limits(self._redis)
        self._worker_key = WorkerKey(self._ledger, self._standby, endpoint=endpoint_of(self._settings))
        self._resources = ProcessResources(
            self._ledger, self._api, KnownCompletions(), self._stopping, self._worker_key, reach=PageReach()
        )

    async def _run_shard(self, job_id: str, number: int) -> list[int]:
        owner = f"{self._worker}:{os.getpid()}-{secrets.token_hex(4)}"
        self._leased, self.failure = None, ""
        try:
            shard = await self._retry(lambda: self._lease(job_id, number, owner))
            if shard is None:
                return []
            self._leased = await self._retry(lambda: self._ledger.jobs.get(job_id))
            await self._carry_out(shard)
            await self._standby.wait_until_unsubscribed(within_s=QUIET_S)
            return await self._ledger.shards.to_announce(job_id)
        except AWAY as error:
            self.failure = "ledger_unreachable"
            where = {"job": job_id, "shard": number}
            log.warning("%s The shard is taken up again later.", describe(error), extra=where)
        except (StateLost, NoSuchJob):
            self.failure = STATE_LOST_CODE
            log.error("%s.", LOST_REASON, extra={"job": job_id})
            await self._retry(self._record_loss)
        except Exception as error:  # noqa: BLE001 - ours must not count as a worker that died at the shard
            await self._own_error(job_id, error)
        return []

    async def _record_loss(self) -> None:
        """Write a tombstone of the job that was leased, where it is gone: no other process may have seen it yet."""
        if self._leased is not None:
            at = await self._ledger.jobs.now()
            await self._ledger.losses.record_job(self._leased, since=at, seen_by=self._worker)

    async def _own_error(self, job_id: str, error: Exception) -> None:
        self.failure = "worker_error"
        fields = {"job": job_id, "error": _names(error), "traceback": safe_traceback(error)}
        log.error("worker met an error of its own", extra=fields)
        reason = f"worker {self._worker} met an error of its own ({_names(error)}); see the traceback in its log"
        await self._retry(lambda: self._ledger.jobs.pause(job_id, by=self._worker, code=self.failure, reason=reason))

    async def _lease(self, job_id: str, number: int, owner: str) -> LeasedShard | None:
        if await self._ledger.shards.lease(job_id, number, owner) is not LeaseAnswer.LEASED:
            await self._survive(job_id, number, owner)  # it may be asked again, after a lease that ran out meanwhile
            return None
        shard = await self._ledger.shards.load(job_id, number, owner)
        if shard is None:
            self.failure = STATE_LOST_CODE
            await self._ledger.jobs.pause(job_id, by=self._worker, code=STATE_LOST_CODE, reason=LOST_REASON)
            return None
        await log_started(self._ledger, shard.spec)
        log.info("shard leased", extra={"job": job_id, "shard": number, "rows": len(shard.todo)})
        return shard

    async def _survive(self, job_id: str, number: int, owner: str) -> None:
        """Record that the lease's owner lives, so that the lost lease does not count as a crash at the shard."""
        if await self._ledger.shards.survive(job_id, number, owner):
            log.info("lease had run out while the worker lived", extra={"job": job_id, "shard": number})

    async def _retry(self, step: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a step once Redis answers; a worker that is stopping tries once more, not for long."""
        return await retry_while_unavailable(step, stopping=self._stopping, last_try_s=LAST_STEP_S)

    async def _carry_out(self, shard: LeasedShard) -> None:
        job_id = shard.spec.job_id
        began = time.monotonic()
        run = None
        try:
            if shard.spec.target != self._settings.openai_base_url:
                await self._leave_to_another(shard)
            elif await self._has_key(shard):
                secret = self._api.credential.secret
                self._limit = shared_limit(self._settings, secret)
                self._standby.note_key(key_fingerprint(self._settings.openai_base_url, secret))
                await self._retry(self._note_limit)
                run = self._new_run(
                    shard,
                    await self._retry(self._run_seconds),
                    await self._retry(self._service),
                )
                await run.run()
                self.failure = run.stopped_by
        finally:
            answer = await self._retry(lambda: self._ledger.shards.release(shard))
            if answer is ReleaseAnswer.LOST:
                await self._retry(lambda: self._survive(job_id, shard.number, shard.owner))
            fields = {"job": job_id, "shard": shard.number, "seconds": round(time.monotonic() - began, 3)}
            log.info("shard ended", extra=fields | (run.summary if run else {}) | {"state": answer})
            await self._retry(lambda: end_turn(self._ledger, shard, answer))
            if answer is ReleaseAnswer.LOST:
                await self._retry(lambda: self._ledger.jobs.get(job_id))  # where it is gone, no other worker has it

    async def _leave_to_another(self, shard: LeasedShard) -> None:
        """Hand the shard back for a worker that calls its job's API; pause the job where there is none."""
        target, called = shard.spec.target, self._settings.openai_base_url
        ran_s = await self._retry(self._ledger.jobs.now) - float(shard.running_since)
        if ran_s < OTHERS_START_S or await self._retry(lambda: self._ledger.workers.call(target)):
            await asyncio.sleep(HAND_OVER_S)
            return
        self.failure = "other_target"
        job_id, by, since = shard.spec.job_id, self._worker, shard.running_since
        reason = f"the job is for {target}, worker {by} calls {called}"
        await self._ledger.jobs.pause(job_id, by=by, code=self.failure, reason=reason, running_since=since)

    async def _has_key(self, shard: LeasedShard) -> bool:
        """Return whether there is a key to send; where there is none, go on standby or pause the job."""
        if self._standby.is_on:
            self.failure = self._standby.reason
            return False
        trouble = await self._api.credential.problem()
        if trouble:
            self.failure = "key_unavailable"
            refused = StopJob(self.failure, trouble)
            job_id, since = shard.spec.job_id, shard.running_since
            await self._retry(lambda: self._worker_key.refused(job_id, refused, running_since=since))
        return not trouble

    async def _note_limit(self) -> None:
        await record_use(self._redis, self._limit, endpoint=self._settings.openai_base_url)

    async def _service(self) -> Service:
        return service_of(await self._ledger.behaviours.of(self._settings.openai_base_url))

    async def _run_seconds(self) -> float:
        """Return the seconds of a run: few where other jobs wait for theirs."""
        longest = self._settings.job.shard_seconds
        return longest if len(await running_jobs(self._ledger.redis)) < 2 else min(longest, SHARED_TURN_S)

    def _new_run(self, shard: LeasedShard, seconds: float, service: Service) -> ShardRun:
        settings = self._settings
        limiter = RateLimiter(
            self._limits,
            self._limit,
            job_id=shard.spec.job_id,
            rate_headers=self._api.rate_headers,
        )
        return ShardRun(
            shard,
            self._resources,
            limiter=limiter,
            breaker=CircuitBreaker(self._redis, self._limit.key),
            bounds=Bounds(
                settings.worker.in_flight,
                seconds,
                settings.api.attempts,
                settings.api.timeout_s,
                settings.worker.read_ahead,
            ),
            service=service,
        )


def _names(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return ", ".join(sorted({_names(each) for each in error.exceptions}))
    return type(error).__name__
