"""A ledger that came back empty is told from one that never held a job, and what it held is shown as lost."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from redis.asyncio import Redis

from ledger import loss_detector
from ledger.errors import NewerLedger, NoSuchJob
from ledger.identity import SCHEMA
from ledger.job import STATE_LOST_CODE, JobState
from ledger.keys import HELD_NIGHTS, LOST, OPEN_NIGHTS, TOTALS, JobKeys, night_key
from ledger.loss_detector import LossDetector, Memory
from ledger.losses import LISTED_S, Loss
from ledger.overview import read_overview
from tests.ledger.conftest import LedgerHarness

NIGHT = {"date": "2026-11-26", "state": "running", "started_at": 1_763_900_000.0}


async def open_night(harness: LedgerHarness) -> None:
    """Let a nightly run be under way."""
    await harness.redis.hset(night_key(NIGHT["date"]), "night", msgspec.json.encode(NIGHT))
    await harness.redis.sadd(OPEN_NIGHTS, NIGHT["date"])


async def test_an_identity_is_given_once_and_kept(harness: LedgerHarness) -> None:
    first = await harness.ledger.identity.establish()

    assert await harness.ledger.identity.establish() == first == await harness.ledger.identity.read()
    assert first.schema == SCHEMA
    assert (await read_overview(harness.redis)).identity == first


async def test_a_ledger_that_is_emptied_is_another_one(harness: LedgerHarness) -> None:
    first = await harness.ledger.identity.establish()
    await harness.redis.flushdb()

    assert (await harness.ledger.identity.establish()).generation != first.generation


async def test_a_ledger_that_has_jobs_and_no_identity_exists_since_its_oldest_job(harness: LedgerHarness) -> None:
    """As release one left it; nothing is recorded as lost."""
    spec = await harness.submit()
    submitted_at = (await harness.ledger.jobs.get(spec.job_id)).submitted_at

    assert await LossDetector("w1").check(harness.ledger) == []

    identity = await harness.ledger.identity.read()
    assert identity is not None
    assert (identity.since, identity.reset) == (submitted_at, None)
    assert (await read_overview(harness.redis)).ended[JobState.LOST] == 0


async def test_a_job_that_another_ledger_lost_says_nothing_of_the_age_of_this_one(harness: LedgerHarness) -> None:
    """The worker that had it leased records it, maybe before anybody gives the ledger an identity."""
    spec = await harness.submit()
    job = await harness.ledger.jobs.get(spec.job_id)
    await harness.redis.flushdb()
    now = await harness.ledger.jobs.now()
    await harness.ledger.losses.record_job(
        msgspec.structs.replace(job, submitted_at=now - 900), since=now, seen_by="w1"
    )

    assert (await harness.ledger.identity.establish()).since >= now
    await harness.redis.delete(TOTALS)
    other = await harness.submit()
    submitted_at = (await harness.ledger.jobs.get(other.job_id)).submitted_at
    await harness.redis.delete(TOTALS)
    assert (await harness.ledger.identity.establish()).since == submitted_at


async def test_totals_are_those_of_one_generation(harness: LedgerHarness) -> None:
    """Where they alone are gone, the counters fell, and the ledger is another one; its jobs are not lost."""
    spec = await harness.submit()
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    await harness.redis.delete(TOTALS)

    assert await detector.check(harness.ledger) == []

    identity = await harness.ledger.identity.read()
    assert identity is not None
    assert identity.reset is not None
    assert await harness.state(spec) is JobState.RUNNING


async def test_a_newer_ledger_is_refused(harness: LedgerHarness) -> None:
    await harness.ledger.identity.establish()
    await harness.redis.hset(TOTALS, "ledger:schema", SCHEMA + 1)

    with pytest.raises(NewerLedger, match=f"schema {SCHEMA + 1}"):
        await LossDetector("w1").check(harness.ledger)


async def test_a_night_with_a_held_file_is_lost_with_the_ledger(harness: LedgerHarness) -> None:
    """It has ended but for a decision of which nobody would hear any more."""
    night = NIGHT | {"state": "needs attention"}
    await harness.redis.hset(night_key(night["date"]), "night", msgspec.json.encode(night))
    await harness.redis.sadd(HELD_NIGHTS, night["date"])
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    await harness.redis.flushdb()

    assert [(loss.kind, loss.name) for loss in await detector.check(harness.ledger)] == [("night", night["date"])]


async def test_what_was_under_way_is_shown_as_lost_where_the_ledger_came_back_empty(harness: LedgerHarness) -> None:
    """With who submitted it, how it stood, and who found out; two workers record it once."""
    running = await harness.submit(by="ann@desk", name="night.csv")
    paused = await harness.submit()
    await harness.ledger.jobs.pause(paused.job_id, by="test", code="c", reason="r")
    await open_night(harness)
    workers = [LossDetector("w1@here"), LossDetector("w2@there")]
    for worker in workers:
        await worker.check(harness.ledger)
    await harness.redis.flushdb()

    found = [loss for worker in workers for loss in await worker.check(harness.ledger)]

    names = {("job", running.job_id), ("job", paused.job_id), ("night", NIGHT["date"])}
    assert {(loss.kind, loss.name) for loss in found} == names
    assert {(loss.kind, loss.name) for loss in await harness.ledger.losses.recent()} == names
    job = await harness.ledger.jobs.get(running.job_id)
    assert (job.state, job.reason_code, job.spec.name, job.spec.by) == (
        JobState.LOST,
        STATE_LOST_CODE,
        "night.csv",
        "ann@desk",
    )
    assert job.counts.total == 6
    assert "w1@here" in (job.reason or "")
    assert {each.spec.job_id for each in await harness.ledger.jobs.latest(10)} == {running.job_id, paused.job_id}
    assert (await read_overview(harness.redis)).ended[JobState.LOST] == 2
    night = msgspec.json.decode(await harness.redis.hget(night_key(NIGHT["date"]), "night"))
    assert night["state"] == "lost"
    identity = await harness.ledger.identity.read()
    assert identity is not None
    assert identity.reset is not None
    assert (identity.reset.seen_by, identity.reset.unnamed) == ("w1@here", 0)


async def test_a_job_that_is_there_again_is_not_lost(harness: LedgerHarness) -> None:
    """As after the operator restored a backup under the same ids, before a worker looked again."""
    spec = await harness.submit()
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    await harness.redis.flushdb()
    await harness.store(spec)
    await harness.ledger.job_store.open(spec.job_id)

    assert await detector.check(harness.ledger) == []
    assert await harness.state(spec) is JobState.RUNNING


async def delete_job(harness: LedgerHarness, job_id: str) -> None:
    """Remove the keys of a job, and leave its id in the lists."""
    keys = JobKeys(job_id)
    await harness.redis.delete(*keys.lasting, *keys.passing)


@pytest.mark.parametrize(("leased", "lost"), [(True, 1), (False, 0)])
async def test_of_a_ledger_that_is_there_only_a_job_that_a_worker_was_at_is_lost(
    harness: LedgerHarness, leased: bool, lost: int
) -> None:
    """Any other that is missing has expired."""
    spec = await harness.submit()
    if leased:
        await harness.lease(spec, 0)
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    await delete_job(harness, spec.job_id)

    assert len(await detector.check(harness.ledger)) == lost
    assert len(await harness.ledger.losses.recent()) == lost


async def test_a_job_that_ended_and_expired_while_the_process_stood_still_is_not_lost(harness: LedgerHarness) -> None:
    """It was leased when it was seen last; that is longer ago than an ended job is kept."""
    spec = await harness.submit(keep_s=60.0)
    await harness.lease(spec, 0)
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    assert detector.memory is not None
    detector.memory = msgspec.structs.replace(detector.memory, at=detector.memory.at - 61)
    await delete_job(harness, spec.job_id)

    assert await detector.check(harness.ledger) == []


async def test_a_job_that_has_ended_is_not_lost(harness: LedgerHarness) -> None:
    """It leaves the active ones, and is there."""
    spec = await harness.submit()
    await harness.lease(spec, 0)
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    await harness.ledger.jobs.move(spec.job_id, JobState.FINISHED, come_from=[JobState.RUNNING])
    await harness.ledger.jobs.retire(spec.job_id)

    assert await detector.check(harness.ledger) == []
    assert await harness.state(spec) is JobState.FINISHED


async def test_what_was_lost_is_still_known_where_the_ledger_comes_back_empty_once_more(harness: LedgerHarness) -> None:
    """A server without a disk ends again and again."""
    spec = await harness.submit()
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    for _ in range(2):
        await harness.redis.flushdb()
        await detector.check(harness.ledger)

        assert (await harness.ledger.jobs.get(spec.job_id)).state is JobState.LOST


async def test_who_remembers_nothing_claims_nothing(harness: LedgerHarness) -> None:
    spec = await harness.submit()
    await LossDetector("w1").check(harness.ledger)
    await harness.redis.flushdb()

    assert await LossDetector("w1").check(harness.ledger) == []

    assert await harness.ledger.losses.recent() == []
    identity = await harness.ledger.identity.read()
    assert identity is not None
    assert identity.reset is None
    with pytest.raises(NoSuchJob):
        await harness.ledger.jobs.get(spec.job_id)


async def test_a_memory_that_was_stored_is_as_good_as_one_that_was_kept(harness: LedgerHarness) -> None:
    """The embedded server's folder keeps it between two commands."""
    spec = await harness.submit()
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    stored = msgspec.json.decode(msgspec.json.encode(detector.memory), type=Memory)
    await harness.redis.flushdb()

    assert [loss.name for loss in await LossDetector("w1", stored).check(harness.ledger)] == [spec.job_id]


async def test_more_jobs_than_are_remembered_are_counted(harness: LedgerHarness, redis: Redis) -> None:
    """The newest are remembered."""
    names = [f"job-{number:04}" for number in range(loss_detector.MOST_REMEMBERED + 2)]
    spec = await harness.submit(job_id="job-9999")
    await redis.sadd("relabel:active", *names)
    detector = LossDetector("w1")
    await detector.check(harness.ledger)
    await redis.flushdb()

    lost = await detector.check(harness.ledger)

    assert [loss.name for loss in lost] == [spec.job_id]
    identity = await harness.ledger.identity.read()
    assert identity is not None
    assert identity.reset is not None
    assert identity.reset.unnamed == 3


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
async def test_a_lost_job_is_named_as_lost_by_whatever_is_asked_of_it(harness: LedgerHarness, verb: str) -> None:
    """It is not a job that there never was."""
    spec = await harness.submit()
    job = await harness.ledger.jobs.get(spec.job_id)
    await delete_job(harness, spec.job_id)
    await harness.ledger.losses.record_job(job, since=job.submitted_at, seen_by="w1")
    jobs = harness.ledger.jobs
    verbs: dict[str, Callable] = {
        "pause": lambda: jobs.pause(spec.job_id, by="t", code="c", reason="r"),
        "resume": lambda: jobs.resume(spec.job_id, by="t"),
        "cancel": lambda: jobs.cancel(spec.job_id, by="t"),
    }

    assert await verbs[verb]() is JobState.LOST


@pytest.mark.parametrize("packed", [b"", b"[]", b"\xff", b'{"spec": 1}'])
async def test_a_tombstone_that_nobody_of_ours_wrote_is_none(harness: LedgerHarness, packed: bytes) -> None:
    await harness.redis.set(JobKeys("job-1").tombstone, packed)

    with pytest.raises(NoSuchJob):
        await harness.ledger.jobs.get("job-1")


async def test_a_loss_is_listed_for_a_day(harness: LedgerHarness) -> None:
    now = await harness.ledger.jobs.now()
    await harness.redis.zadd(LOST, {"job:old": now - LISTED_S - 1, "job:new": now - 5})

    assert await harness.ledger.losses.recent() == [Loss("job", "new", pytest.approx(now - 5))]
