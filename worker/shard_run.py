"""Runs one leased shard: lanes carry out rows, a keeper renews the lease and reads whether the job is to go on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from completions.client import CompletionsApi
from completions.errors import KeyRefused, StopJob
from ledger.cancellation import end_tasks, is_cancelled
from ledger.claims import claim_life_s, claim_of
from ledger.clock import CLOCKS, Clocks
from ledger.codec import BeforeImage
from ledger.connect import AWAY
from ledger.errors import LeaseLost, NoSuchJob, StateLost
from ledger.failures import TOO_MANY_CODE, too_many_failures
from ledger.job import JobState, Traffic, Waits
from ledger.ledger import Ledger
from ledger.records import Record
from ledger.row import TRIED, Metadata, Outcome
from ledger.settlements import Settlement
from ledger.shards import LeasedShard
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from worker.checked_api import CheckedApi, KnownCompletions
from worker.drain import Drain
from worker.fence import LeaseFence
from worker.group_writer import GroupWriter
from worker.redis_outage import retry_while_unavailable
from worker.row_calls import RowContext
from worker.row_lane import RowLane
from worker.row_queue import RowQueue
from worker.row_run import RowOptions
from worker.run_counters import RunCounters
from worker.service import Service
from worker.worker_key import WorkerKey

HAND_BACK_S = 2.0
"""Bound of the wait for the renewal that a hand-back needs; a worker that ends while Redis is away goes without."""
KEEP_EVERY_S = 1.0
"""How often the lease is renewed and the job's state is read: pause and cancel take effect after this."""
JOURNAL_LINGER_S, JOURNAL_GROUP = 0.003, 64
SETTLE_LINGER_S, SETTLE_GROUP = 0.1, 100

log = logging.getLogger(__name__)


class Bounds(NamedTuple):
    """Limits of a run: rows at once, its seconds, tries of a row, and the seconds of one request."""

    in_flight: int
    seconds: float
    attempts: int
    request_s: float


class ShardRun:
    """One run of one leased shard. `stopping` tells whether the worker is stopping.

    `known` outlives the run: completions that this process found lately. `worker_key` decides what a refused key
    means; without it the job pauses.
    """

    def __init__(
        self,
        shard: LeasedShard,
        *,
        ledger: Ledger,
        api: CompletionsApi,
        limiter: RateLimiter,
        breaker: CircuitBreaker,
        bounds: Bounds,
        stopping: Callable[[], bool],
        known: KnownCompletions | None = None,
        service: Service | None = None,
        clocks: Clocks = CLOCKS,
        worker_key: WorkerKey | None = None,
    ) -> None:
        self._shard = shard
        self._ledger = ledger
        self._api = api
        self._worker_key = worker_key
        self._key_refused = False
        self._limiter = limiter
        self._bounds = bounds
        self._counters = RunCounters()
        self._reported = Traffic()
        self._outcomes: Counter[Outcome] = Counter()
        self._clocks = clocks
        self._fence = LeaseFence(clocks)
        self._drain = Drain(limiter, seconds=bounds.seconds, stopping=stopping)
        life_s = claim_life_s(bounds.request_s)
        self._service = service or Service()
        self._todo = RowQueue(
            shard,
            ledger.claims,
            life_s=life_s,
            record_life_s=self._service.record_life_s,
            pause_for=self._drain.pause_for,
        )
        self._settled = GroupWriter(self._settle, linger_s=SETTLE_LINGER_S, most=SETTLE_GROUP)
        self._journal = GroupWriter(self._keep_images, linger_s=JOURNAL_LINGER_S, most=JOURNAL_GROUP)
        self._breaker = breaker
        spec = shard.spec
        name = f"{spec.job_id}-{shard.number}-{shard.owner[-8:]}"
        checked = CheckedApi(api, limiter, known or KnownCompletions(), self._counters)
        context = RowContext(
            api=checked,
            limiter=limiter,
            journal=self._journal_image,
            pause_for=self._drain.pause_for,
            breaker=breaker,
            counters=self._counters,
            replay=self._replay,
            clocks=clocks,
        )
        self._lane = RowLane(
            shard,
            self._todo,
            context=context,
            options=RowOptions(spec.mode, spec.journal, bounds.attempts, name, self._service),
            fence=self._fence,
            drain=self._drain,
            settle=self._settled.add,
            stop_job=self._stop_job,
        )

    async def run(self) -> None:
        """Carry out rows until all are settled, the time is up, or the job or the worker is stopped.

        Raises:
            StateLost: the job is gone.

        """
        try:
            async with asyncio.TaskGroup() as group:
                writers = [group.create_task(writer.run()) for writer in (self._journal, self._settled)]
                lanes = [group.create_task(self._lane.run()) for _ in range(self._width())]
                keepers = [
                    group.create_task(self._keep_lease()),
                    group.create_task(self._breaker.run()),
                    group.create_task(self._drain.watch_clock([*lanes, *writers])),
                ]
                await asyncio.wait(lanes)
                self._journal.finish()
                self._settled.finish()
                await asyncio.wait(writers)
                await self._hand_back()
                await end_tasks(keepers)
        except* LeaseLost:
            where = {"job": self._shard.spec.job_id, "shard": self._shard.number}
            log.warning("another worker has the shard", extra=where)
        except* (StateLost, NoSuchJob) as lost:
            raise StateLost(self._shard.spec.job_id) from lost.exceptions[0]
        finally:
            await self._limiter.aclose()
            await self._todo.aclose()

    @property
    def summary(self) -> dict[str, int]:
        """How many rows the run settled with each outcome, and its requests, retries and 429s."""
        ended = {outcome.word: self._outcomes[outcome] for outcome in TRIED}
        now = self._counters.traffic()
        return ended | {"requests": now.requests, "retries": now.retries, "throttled": now.throttled}

    def _width(self) -> int:
        return max(1, min(self._bounds.in_flight, len(self._shard.todo)))

    async def _replay(self, record: Record, metadata: Metadata) -> Metadata | None:
        return await record.replay(self._ledger.redis, metadata)

    async def _stop_job(self, error: StopJob) -> None:
        """Pause the job at once, so that all workers stop its rows within two seconds."""
        self._drain.stop_starting_rows()
        if isinstance(error, KeyRefused) and self._worker_key:
            await self._stop_for_key(error, self._worker_key)
            return
        reason = f"{error.message} (HTTP {error.status})" if error.status else error.message
        await retry_while_unavailable(
            lambda: self._ledger.jobs.pause(
                self._shard.spec.job_id, by=self._shard.worker, code=error.code, reason=reason
            )
        )

    async def _stop_for_key(self, error: KeyRefused, worker_key: WorkerKey) -> None:
        """Decide once for all rows of the run whether the job stops or this worker alone."""
        if not self._key_refused:
            self._key_refused = True
            await retry_while_unavailable(lambda: worker_key.refused(self._shard.spec.job_id, error))

    async def _keep_lease(self) -> None:
        """Renew the lease and read whether the job is to go on, until cancelled."""
        while not is_cancelled():
            with contextlib.suppress(*AWAY):  # while the ledger is away, the fence stops all writes
                await self._renew()
            await asyncio.sleep(KEEP_EVERY_S)

    async def _renew(self) -> None:
        waits = _waits(self._counters, self._limiter, self._todo)
        sent = self._clocks.read()
        await self._todo.keep()
        state = await self._ledger.shards.renew(self._shard, waits)
        if state is None:
            self._fence.lose()
            raise LeaseLost(self._shard.spec.job_id)
        if state is not JobState.RUNNING:
            self._drain.stop_starting_rows()
        self._fence.confirm(sent)
        if self._worker_key:
            await self._worker_key.note_accepted(self._api.accepted_at)

    async def _journal_image(self, image: BeforeImage) -> None:
        await asyncio.shield(self._journal.add(image))

    async def _keep_images(self, images: list[BeforeImage]) -> None:
        """Store the images of the rows whose claims are ours; the gate holds the other rows' writes back."""
        await self._fence.wait()
        while images := [image for image in images if self._todo.holds(self._claim(image.row))]:
            claims = [self._claim(image.row) for image in images]
            lost = await self._ledger.settlements.journal(self._shard, images, claims)
            if not lost:
                break
            self._todo.lose(lost)
        self._shard.images.update({image.row: image for image in images})

    def _claim(self, row: int) -> str:
        return claim_of(self._shard.spec.target, self._shard.todo[row].completion_id)

    async def _settle(self, settlements: list[Settlement]) -> None:
        await self._fence.wait()
        now = self._counters.traffic()
        await self._ledger.settlements.settle(self._shard, settlements, now)
        self._reported = now
        self._outcomes.update(settlement.outcome for settlement in settlements)
        if set(self._outcomes) == {Outcome.FAILED}:
            with contextlib.suppress(*AWAY):
                await self._renew()  # the job may have paused with this: its first rows all failed
        await self._stop_after_failures()

    async def _stop_after_failures(self) -> None:
        """Pause the job where more rows failed than its `--max-failures` allows."""
        spec = self._shard.spec
        if reason := await too_many_failures(self._ledger.redis, spec):
            await self._ledger.jobs.pause(spec.job_id, by=self._shard.worker, code=TOO_MANY_CODE, reason=reason)
            self._drain.stop_starting_rows()

    async def _hand_back(self) -> None:
        """Record the tries and traffic that no settlement carried; without the ledger, rows are tried more often."""
        now = self._counters.traffic()
        if self._lane.tries or now != self._reported:
            with contextlib.suppress(TimeoutError, *AWAY):
                async with asyncio.timeout(HAND_BACK_S):
                    await self._fence.wait()
                await self._ledger.settlements.hand_back(self._shard, self._lane.tries, now)


def _waits(counters: RunCounters, limiter: RateLimiter, todo: RowQueue) -> Waits:
    status = limiter.status
    blocked, blocked_by = todo.blocked
    return Waits(
        in_flight=counters.in_flight,
        for_rate=limiter.waiting,
        backing_off=counters.backing_off,
        paused_s=status.paused_s,
        paused_by=status.paused_by,
        rate_per_minute=status.rate * 60,
        asked_per_minute=status.asked * 60,
        slowed_by=status.slowed_by,
        blocked=blocked,
        blocked_by=blocked_by,
    )
