"""Runs one leased shard: lanes carry out rows, a keeper holds the lease, a writer stores what comes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple

from completions.client import CompletionsApi
from completions.errors import KeyRefused, StopJob
from ledger.cancellation import end_tasks
from ledger.claims import NoClaims, claim_life_s
from ledger.clock import CLOCKS, Clocks
from ledger.errors import LeaseLost, NoSuchJob, StateLost
from ledger.job_spec import Kind, Mode
from ledger.ledger import Ledger
from ledger.progress import Waits
from ledger.records import Record
from ledger.row import Metadata
from ledger.row_reader import found_completion
from ledger.shards import LeasedShard
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from worker.checked_api import CheckedApi, KnownCompletions
from worker.drain import Drain
from worker.lease_keeper import LeaseKeeper
from worker.planning import Planning
from worker.read_ahead import PageCalls, PageReach, Place, ReadAhead, in_turns, segments_of
from worker.read_run import Conclusions
from worker.redis_outage import retry_while_unavailable
from worker.row_calls import RowContext
from worker.row_change import RowOptions
from worker.row_lane import RowLane
from worker.row_queue import RowQueue
from worker.run_counters import RunCounters
from worker.service import Service
from worker.shard_writer import ShardWriter
from worker.verifying import Verifying
from worker.worker_key import WorkerKey

log = logging.getLogger(__name__)


class Bounds(NamedTuple):
    """Limits of a run: rows at once, its seconds, tries of a row, seconds of a request; whether pages are read."""

    in_flight: int
    seconds: float
    attempts: int
    request_s: float
    read_ahead: bool = True


class ProcessResources(NamedTuple):
    """What the runs of one process share. `stopping` tells whether the worker is stopping.

    `known` are completions that the process found lately, `reach` is what pages of the list showed. `worker_key`
    decides what a refused key means; without it the job pauses.
    """

    ledger: Ledger
    api: CompletionsApi
    known: KnownCompletions
    stopping: Callable[[], bool]
    worker_key: WorkerKey | None = None
    clocks: Clocks = CLOCKS
    reach: PageReach | None = None


class ShardRun:
    """One run of one leased shard. `stopped_by` is the code of the error that stopped it, '' where none did."""

    def __init__(
        self,
        shard: LeasedShard,
        resources: ProcessResources,
        *,
        limiter: RateLimiter,
        breaker: CircuitBreaker,
        bounds: Bounds,
        service: Service,
    ) -> None:
        self._shard = shard
        self._resources = resources
        self._limiter = limiter
        self._breaker = breaker
        self._bounds = bounds
        self._key_refused = False
        self.stopped_by = ""
        self._counters = RunCounters()
        self._drain = Drain(limiter, seconds=bounds.seconds, stopping=resources.stopping)
        reach = resources.reach or PageReach()
        segments = self._segments(service, reach)
        self._ahead = self._new_ahead(segments, reach)
        self._queue = self._new_queue(segments, record_life_s=service.record_life_s)
        self._keeper = self._new_keeper()
        self._writer = ShardWriter(
            shard,
            resources.ledger,
            self._queue,
            keeper=self._keeper,
            drain=self._drain,
            counters=self._counters,
        )
        self._lane = self._new_lane(service)

    async def run(self) -> None:
        """Carry out rows until all are settled, the time is up, or the job or the worker is stopped.

        Raises:
            StateLost: the job is gone.

        """
        try:
            async with asyncio.TaskGroup() as group:
                writers = self._writer.start(group)
                lanes = [group.create_task(self._lane.run()) for _ in range(self._width())]
                keepers = [
                    group.create_task(self._keeper.run()),
                    group.create_task(self._breaker.run()),
                    group.create_task(self._drain.watch_clock([*lanes, *writers])),
                ]
                await asyncio.wait(lanes)
                self._writer.finish()
                await asyncio.wait(writers)
                await self._writer.hand_back(self._lane.tries)
                await end_tasks(keepers)
        except* LeaseLost:
            where = {"job": self._shard.spec.job_id, "shard": self._shard.number}
            log.warning("another worker has the shard", extra=where)
        except* (StateLost, NoSuchJob) as lost:
            raise StateLost(self._shard.spec.job_id) from lost.exceptions[0]
        finally:
            await self._limiter.aclose()
            await self._queue.aclose()

    @property
    def summary(self) -> dict[str, int]:
        """How many rows the run settled with each outcome, and its requests, retries and 429s."""
        return self._writer.summary

    def _segments(self, service: Service, reach: PageReach) -> list[list[tuple[Place, int]]]:
        """Return the rows that pages of the list serve, by page; none where they may not."""
        if not (self._bounds.read_ahead and self._may_read_ahead(service)):
            return []
        return segments_of(self._shard.todo, reach, without=self._shard.images.keys())

    def _new_queue(self, segments: Sequence[Sequence[tuple[Place, int]]], *, record_life_s: float) -> RowQueue:
        shard, ledger = self._shard, self._resources.ledger
        return RowQueue(
            shard,
            NoClaims(ledger.redis) if shard.spec.kind.only_reads else ledger.claims,
            life_s=claim_life_s(self._bounds.request_s),
            record_life_s=record_life_s,
            pause_for=self._drain.pause_for,
            order=None if self._ahead.is_off else in_turns(shard.todo, segments),
        )

    def _new_keeper(self) -> LeaseKeeper:
        return LeaseKeeper(
            self._shard,
            self._resources.ledger.shards,
            self._queue,
            self._drain,
            clocks=self._resources.clocks,
            read_waits=self._waits,
            read_traffic=self._counters.traffic,
            take_error=self._counters.take_error,
            on_renewed=self._note_accepted,
        )

    def _new_lane(self, service: Service) -> RowLane:
        shard, spec, resources = self._shard, self._shard.spec, self._resources
        context = RowContext(
            api=CheckedApi(
                resources.api, self._limiter, resources.known, self._counters, found_earlier=self._found_earlier
            ),
            limiter=self._limiter,
            journal=self._writer.journal,
            pause_for=self._drain.pause_for,
            breaker=self._breaker,
            counters=self._counters,
            replay=self._replay,
            clocks=resources.clocks,
            ahead=self._ahead,
        )
        return RowLane(
            shard,
            self._queue,
            context=context,
            options=RowOptions(
                spec.mode,
                spec.journal,
                self._bounds.attempts,
                self._name,
                service,
                reads_back=shard.number < spec.canary_shards,
                exact=spec.exact,
            ),
            fence=self._keeper.fence,
            drain=self._drain,
            settle=self._writer.settle,
            stop_job=self._stop_job,
            conclusions=self._conclusions(),
        )

    def _may_read_ahead(self, service: Service) -> bool:
        """Return whether pages may serve rows: where nothing is written by them, or by a probe it may be."""
        spec = self._shard.spec
        return spec.kind.only_reads or (spec.mode is Mode.MERGE and service.pages_serve_writes)

    def _new_ahead(self, segments: Sequence[Sequence[tuple[Place, int]]], reach: PageReach) -> ReadAhead:
        api, clocks = self._resources.api, self._resources.clocks
        calls = PageCalls(api, self._limiter, self._breaker, self._counters, clocks, self._name)
        return ReadAhead(segments, calls, reach)

    @property
    def _name(self) -> str:
        """What the ids of the run's requests begin with."""
        shard = self._shard
        return f"{shard.spec.job_id}-{shard.number}-{shard.owner[-8:]}"

    def _conclusions(self) -> Conclusions | None:
        """Return what decides how the rows of a job end that only reads; None where rows are written."""
        shard = self._shard
        if shard.spec.kind is Kind.PLAN:
            return Planning(shard.spec.mode)
        if shard.spec.kind is Kind.VERIFY:
            return Verifying(self._resources.ledger, shard.spec, first_row=shard.first_row)
        return None

    def _width(self) -> int:
        return max(1, min(self._bounds.in_flight, len(self._shard.todo)))

    async def _replay(self, record: Record, metadata: Metadata) -> Metadata | None:
        return await record.replay(self._resources.ledger.redis, metadata)

    async def _found_earlier(self) -> str | None:
        redis, spec = self._resources.ledger.redis, self._shard.spec
        return await retry_while_unavailable(lambda: found_completion(redis, spec))

    async def _stop_job(self, error: StopJob) -> None:
        """Pause the job at once, so that all workers stop its rows within two seconds."""
        self.stopped_by = error.code
        self._drain.stop_starting_rows()
        self._counters.throttled += error.status == HTTPStatus.TOO_MANY_REQUESTS
        jobs, worker_key = self._resources.ledger.jobs, self._resources.worker_key
        if isinstance(error, KeyRefused) and worker_key:
            await self._stop_for_key(error, worker_key)
            return
        job_id, by = self._shard.spec.job_id, self._shard.worker
        reason = f"{error.message} (HTTP {error.status})" if error.status else error.message
        if worker_key and worker_key.worker:
            reason = f"{reason.rstrip('.')}; met by worker {worker_key.worker}"
        since = self._shard.running_since
        await retry_while_unavailable(
            lambda: jobs.pause(job_id, by=by, code=error.code, reason=reason, running_since=since)
        )

    async def _stop_for_key(self, error: KeyRefused, worker_key: WorkerKey) -> None:
        """Decide once for all rows of the run whether the job stops or this worker alone."""
        if not self._key_refused:
            self._key_refused = True
            shard = self._shard
            await retry_while_unavailable(
                lambda: worker_key.refused(shard.spec.job_id, error, running_since=shard.running_since)
            )

    async def _note_accepted(self) -> None:
        if self._resources.worker_key:
            await self._resources.worker_key.note_accepted(self._resources.api.accepted_at)

    def _waits(self) -> Waits:
        """Return what the rows of the run wait for now."""
        status = self._limiter.status
        blocked, blocked_by = self._queue.blocked
        return Waits(
            in_flight=self._counters.in_flight,
            for_rate=self._limiter.waiting,
            backing_off=self._counters.backing_off,
            paused_s=status.paused_s,
            paused_by=status.paused_by,
            rate_per_minute=status.rate * 60,
            asked_per_minute=status.asked * 60,
            slowed_by=status.slowed_by,
            blocked=blocked,
            blocked_by=blocked_by,
        )
