"""Everything in Redis ends: a job's keys with the job, whatever its fate, and the rest by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest
from redis.asyncio import Redis

from ledger.codec import BeforeImage, Detail, Tries
from ledger.errors import LeaseLost, NoSuchJob
from ledger.job import JobState, Traffic
from ledger.job_spec import JobSpec
from ledger.job_states import TRIMMED
from ledger.job_store import STORING_KEEP_S
from ledger.keys import ENDED, JOBS, LASTING, LOST, OPEN_NIGHTS, JobKeys, fingerprint_key, night_key
from ledger.loss_detector import LossDetector
from ledger.losses import LISTED_S, NIGHT_KEEP_S
from ledger.plan_counts import ValueChange
from ledger.row import Outcome, Patch, Rejection, UnsentRow
from ledger.row_reader import read_rows
from ledger.settlements import Settlement
from ledger.shards import PARK_AFTER
from tests.ledger.conftest import LedgerHarness
from worker.rescue import rescue_all

KEEP_S = 60.0
Fate = Callable[[LedgerHarness], Awaitable[JobSpec]]


async def begin(harness: LedgerHarness, **changes: object) -> JobSpec:
    """A job of which a worker wrote one row, and may have written the next two, when its shard was handed back."""
    spec = await harness.submit(keep_s=KEEP_S, rows=4, shard_rows=4, **changes)
    await harness.ledger.fingerprints.take(spec.fingerprint, spec.job_id, KEEP_S)
    await harness.ledger.jobs.set_rate(spec.job_id, None, by="test", why="a test")
    shard = await harness.lease(spec, 0)
    if spec.journal:
        await harness.ledger.settlements.journal(
            shard, [BeforeImage(0, {"k": "old"}), BeforeImage(1, {"k": "old"})], []
        )
    await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UPDATED)], Traffic(requests=2))
    await harness.ledger.settlements.hand_back(shard, {2: Tries(1, in_doubt=True)}, Traffic(requests=3))
    await harness.shards.release(shard)
    return spec


async def end_rows(harness: LedgerHarness, spec: JobSpec) -> None:
    """Let a worker end the open rows, and the job."""
    shard = await harness.lease(spec, 0)
    await harness.ledger.settlements.settle(shard, [Settlement(row, Outcome.UPDATED) for row in shard.todo], Traffic())
    await harness.shards.release(shard)
    await harness.ledger.jobs.retire(spec.job_id)


async def finished(harness: LedgerHarness) -> JobSpec:
    """All rows ended well."""
    spec = await begin(harness)
    await end_rows(harness, spec)
    return spec


async def cancelled(harness: LedgerHarness) -> JobSpec:
    """In mid-job."""
    spec = await begin(harness)
    await harness.ledger.jobs.cancel(spec.job_id, by="test")
    await rescue_all(harness.ledger, lambda *_: None, lambda _: None)
    return spec


async def paused_then_cancelled(harness: LedgerHarness) -> JobSpec:
    """By `relabel cancel`, where no worker is left."""
    spec = await begin(harness)
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="c", reason="r")
    await harness.ledger.jobs.cancel(spec.job_id, by="test")
    await harness.shards.close_all(spec, Outcome.CANCELLED)
    await harness.ledger.jobs.retire(spec.job_id)
    return spec


async def parked(harness: LedgerHarness) -> JobSpec:
    """Its workers died time and again."""
    spec = await begin(harness)
    for _ in range(PARK_AFTER):
        await harness.lease(spec, 0)
        await harness.expire_lease(spec, 0)
        await harness.redis.delete("relabel:rescue")
        await rescue_all(harness.ledger, lambda *_: None, lambda _: None)
    await harness.redis.delete("relabel:rescue")
    await rescue_all(harness.ledger, lambda *_: None, lambda _: None)
    assert (await harness.counts(spec)).failed == 3
    return spec


async def nothing_to_send(harness: LedgerHarness) -> JobSpec:
    """No row asks for a change, so that the job has ended before its log begins."""
    spec = harness.spec(rows=0, rejected=1, unchanged=1, keep_s=KEEP_S)
    await harness.store(spec)
    await harness.ledger.job_store.store_rejections(spec.job_id, [Rejection(2, None, "why", ["cell"])])
    await harness.ledger.job_store.store_unsent(spec.job_id, [UnsentRow(Patch(3, "id", {}))])
    await harness.ledger.job_store.open(spec.job_id, by="test")
    return spec


async def undone(harness: LedgerHarness) -> JobSpec:
    """Its log goes on after its end."""
    spec = await finished(harness)
    await harness.redis.delete(JobKeys(spec.job_id).audit)  # as of release one, whose log may be gone before
    await harness.ledger.jobs.set_rate(spec.job_id, None, by="test", why="a test")
    return spec


async def finished_before_a_worker_came_back(harness: LedgerHarness) -> JobSpec:
    """A worker that was frozen has its say when the job has long ended."""
    spec = await begin(harness)
    late = await harness.lease(spec, 0, owner="late")
    await harness.expire_lease(spec, 0)
    await harness.shards.rescue(spec.job_id)
    await end_rows(harness, spec)
    await harness.ledger.settlements.hand_back(late, {3: Tries(1, in_doubt=True)}, Traffic(requests=5))
    with pytest.raises(LeaseLost):
        await harness.ledger.settlements.journal(late, [BeforeImage(3, {"k": "late"})], [])
    assert (await harness.ledger.jobs.get(spec.job_id)).traffic.requests == 3, "counted is what was handed back in time"
    return spec


async def planned_late(harness: LedgerHarness) -> JobSpec:
    """A plan, of which a worker that was slow counts a shard when the job has long ended."""
    spec = await finished(harness)
    await harness.ledger.plans.add(spec.job_id, 0, "ab" * 32, {ValueChange("k", None, "v"): 2})
    await harness.ledger.plans.set_digest(spec.job_id, "cd" * 32)
    return spec


FATES = [
    finished,
    planned_late,
    cancelled,
    paused_then_cancelled,
    parked,
    nothing_to_send,
    undone,
    finished_before_a_worker_came_back,
]


async def lives(redis: Redis, pattern: str = "*") -> dict[str, float]:
    """Seconds that each key still lives; -1 for ever."""
    return {key.decode(): await redis.ttl(key) for key in await redis.keys(pattern)}


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.__name__)
async def test_nothing_of_a_job_outlives_the_days_that_it_is_kept(
    harness: LedgerHarness, redis: Redis, fate: Fate
) -> None:
    """Before-images and rows are a customer's: no key of an ended job lives longer than KEEP_DAYS, or for ever."""
    spec = await fate(harness)

    of_job = await lives(redis, f"*{spec.job_id}*")
    assert {name: life for name, life in of_job.items() if not 0 < life <= KEEP_S} == {}
    assert 0 < (await lives(redis)).get(fingerprint_key(spec.fingerprint), 1) <= KEEP_S
    assert {name for name, life in (await lives(redis)).items() if life == -1} <= LASTING
    assert await harness.state(spec) in {JobState.FINISHED, JobState.CANCELLED}


async def test_a_job_that_is_under_way_has_an_end_too(harness: LedgerHarness, redis: Redis) -> None:
    """Once the workers' rescue has seen it; it lives longer than KEEP_DAYS, as it has not ended."""
    spec = await begin(harness)
    await harness.ledger.workers.beat("worker", 2)
    await rescue_all(harness.ledger, lambda *_: None, lambda _: None)

    found = await lives(redis)
    assert {name for name, life in found.items() if life == -1} <= LASTING
    too_short = {name for name, life in found.items() if spec.job_id in name and life <= KEEP_S}
    assert too_short == {JobKeys(spec.job_id).producer}, "which only says that the producer was there just now"
    assert found[fingerprint_key(spec.fingerprint)] > KEEP_S, "the same content is found as long as the job is there"


async def test_what_a_dead_producer_left_is_gone_after_a_day(harness: LedgerHarness, redis: Redis) -> None:
    """Its rows and its rejected rows: nobody will ever finish it."""
    spec = harness.spec(rows=4, rejected=1, keep_s=30 * 86_400.0)
    await harness.store(spec)
    await harness.ledger.fingerprints.claim(spec.fingerprint, spec.job_id, spec.keep_s)
    await harness.ledger.job_store.store_rejections(spec.job_id, [Rejection(2, None, "why", ["cell"])])

    left = await lives(redis, f"*{spec.job_id}*")
    assert {name.rpartition(":")[2] for name in left} >= {
        "job", "counts", "outcomes", "times", "shards", "index", "waiting", "rejected",
    }  # fmt: skip
    assert all(0 < life <= STORING_KEEP_S for life in left.values())


async def test_the_list_of_jobs_forgets_what_has_expired_also_where_nobody_looks(
    harness: LedgerHarness, redis: Redis
) -> None:
    """Each new job looks at some of it."""
    await redis.zadd(JOBS, {f"gone-{number}": number for number in range(TRIMMED - 1)})

    spec = await harness.submit()

    assert await redis.zrange(JOBS, 0, -1) == [spec.job_id.encode()]


async def test_what_is_left_of_a_job_that_is_gone_expires(harness: LedgerHarness, redis: Redis) -> None:
    """Also a key that had no end when the job's own record was lost."""
    spec = await harness.submit()
    await redis.delete(JobKeys(spec.job_id).job)
    await redis.persist(JobKeys(spec.job_id).shards)

    await rescue_all(harness.ledger, lambda *_: None, lambda _: None)

    assert {name for name, life in (await lives(redis)).items() if life == -1} <= LASTING
    with pytest.raises(NoSuchJob):
        await harness.ledger.jobs.get(spec.job_id)


async def test_what_is_known_of_lost_jobs_and_nights_has_an_end(harness: LedgerHarness, redis: Redis) -> None:
    """A tombstone lives as long as an ended job; what is lost is listed, and its notification tried, for a day."""
    spec = await harness.submit(keep_s=KEEP_S)
    night = {"date": "2026-11-26", "state": "running", "started_at": 1_763_900_000.0}
    await redis.hset(night_key("2026-11-26"), "night", msgspec.json.encode(night))
    await redis.sadd(OPEN_NIGHTS, "2026-11-26")
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    await redis.flushdb()
    assert len(await detector.check(harness.ledger)) == 2

    found = await lives(redis)
    assert {name for name, life in found.items() if life == -1} <= LASTING
    assert 0 < found[JobKeys(spec.job_id).tombstone] <= KEEP_S
    assert max(found[LOST], found[ENDED]) <= LISTED_S
    assert found[night_key("2026-11-26")] <= NIGHT_KEEP_S


async def test_cancelled_rows_that_may_have_been_written_are_told_apart(harness: LedgerHarness, redis: Redis) -> None:
    """A before-image, or a try whose answer was lost; their before-images survive for `undo`."""
    spec = await cancelled(harness)

    rows = [row async for row in read_rows(redis, spec)]
    assert [row.outcome for row in rows] == [Outcome.UPDATED, *[Outcome.CANCELLED] * 3]
    assert [row.detail.code if row.detail else None for row in rows] == [None, *["may_have_been_written"] * 2, None]
    assert [row.before for row in rows] == [{"k": "old"}, {"k": "old"}, None, None]
    assert (await harness.ledger.jobs.get(spec.job_id)).may_have_been_written == 2


@pytest.mark.parametrize(("died", "in_doubt"), [(True, 4), (False, 0)])
async def test_without_before_images_each_row_of_a_dead_workers_shard_may_have_been_written(
    harness: LedgerHarness, died: bool, in_doubt: int
) -> None:
    """Nothing tells which of them it was at; of a shard that no worker had, none was."""
    spec = await harness.submit(rows=8, shard_rows=4, journal=False)
    if died:
        await harness.lease(spec, 0)
        await harness.expire_lease(spec, 0)
    await harness.ledger.jobs.cancel(spec.job_id, by="test")

    assert await harness.shards.close_all(spec, Outcome.CANCELLED)

    job = await harness.ledger.jobs.get(spec.job_id)
    assert (job.counts.cancelled, job.may_have_been_written) == (8, in_doubt)


async def test_rows_of_a_parked_shard_keep_their_reason(harness: LedgerHarness, redis: Redis) -> None:
    """They failed; whether they were written is what `undo` and `retry` find out."""
    spec = await parked(harness)

    details = [row.detail async for row in read_rows(redis, spec, only={Outcome.FAILED})]
    assert {detail.code for detail in details if isinstance(detail, Detail)} == {"worker_crash"}
    assert (await harness.ledger.jobs.get(spec.job_id)).may_have_been_written == 0
