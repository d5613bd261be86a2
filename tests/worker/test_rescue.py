"""Any worker keeps every job going: it brings back, announces, parks, retires and forgets."""

from __future__ import annotations

import pytest

from ledger.job import JobState
from ledger.job_spec import Columns, JobSpec, Kind, Mode
from ledger.keys import ACTIVE, RESCUE_LOCK, JobKeys
from ledger.row import Outcome
from ledger.shards import PARK_AFTER, LeaseAnswer
from worker.rescue import rescue_all


@pytest.fixture
def rescue(harness):
    """Rescue once; gives what was announced."""

    async def once():
        announced = {}
        await harness.redis.delete(RESCUE_LOCK)
        await rescue_all(
            harness.ledger, lambda job_id, shards: announced.update({job_id: list(shards)}), lambda _: None
        )
        return announced

    return once


def patches(number):
    """So many patches."""
    return [(f"id-{n}", {"k": "v"}) for n in range(number)]


async def test_every_running_job_gets_its_shards_announced(harness, rescue):
    """Also two at a time, and none of a paused one."""
    first, second = [await harness.submit(*patches(3), shard_rows=1) for _ in range(2)]
    paused = await harness.submit(*patches(1))
    await harness.ledger.jobs.pause(paused, by="test", code="c", reason="r")

    announced = await rescue()

    assert (announced[first], announced[second], announced.get(paused, [])) == ([0, 1], [0, 1], [])


async def test_only_one_worker_rescues_at_a_time(harness):
    """The others leave it to that one."""
    await harness.submit(*patches(1))
    assert await harness.ledger.shards.take_rescue(30)
    announced = []

    await rescue_all(harness.ledger, lambda *each: announced.append(each), lambda _: None)

    assert announced == []


async def test_a_shard_of_a_dead_worker_is_announced_again(harness, rescue):
    """Once its lease has run out."""
    job_id = await harness.submit(*patches(1))
    await harness.lease(job_id)
    assert (await rescue())[job_id] == []

    await harness.redis.zadd(JobKeys(job_id).leased, {"0": 1})

    assert (await rescue())[job_id] == [0]


async def test_a_poison_shard_is_parked_and_the_job_comes_to_its_end(harness, rescue):
    """Its rows say why; the other shard is not touched by it."""
    job_id = await harness.submit(*patches(4), shard_rows=2)
    for _ in range(PARK_AFTER):
        await harness.lease(job_id, 0)
        await harness.redis.zadd(JobKeys(job_id).leased, {"0": 1})
        await rescue()

    rows = await harness.rows(job_id)
    assert [row.outcome for row in rows] == [Outcome.FAILED] * 2 + [Outcome.PENDING] * 2
    assert {row.detail.code for row in rows[:2]} == {"worker_crash"}
    assert await harness.ledger.shards.lease(job_id, 0, "w") is LeaseAnswer.DONE
    assert (await harness.job(job_id)).state is JobState.RUNNING


async def test_a_job_that_ended_while_its_worker_died_is_retired(harness, rescue):
    """Its keys get their end, and nobody looks after it any more."""
    job_id = await harness.submit(*patches(1))
    await harness.ledger.jobs.move(job_id, JobState.FINISHED, come_from=[JobState.RUNNING])

    await rescue()

    assert await harness.redis.smembers(ACTIVE) == set()
    assert 0 < await harness.redis.ttl(JobKeys(job_id).job) <= 600


async def test_a_job_that_is_gone_is_forgotten_and_hinders_no_other(harness, rescue):
    """A name without a job is struck from the list."""
    job_id = await harness.submit(*patches(1))
    await harness.redis.sadd(ACTIVE, "0-gone")

    assert (await rescue())[job_id] == [0]
    assert await harness.redis.smembers(ACTIVE) == {job_id.encode()}


async def test_the_keys_of_a_job_under_way_all_have_an_end(harness, rescue):
    """A job that nobody ever takes up again goes some day."""
    job_id = await harness.submit(*patches(2))
    await rescue()
    await harness.lease(job_id)
    await rescue()

    keys = await harness.redis.keys(f"*{job_id}*")
    assert [key for key in keys if await harness.redis.ttl(key) < 0] == []


async def test_workers_are_asked_to_read_the_list_for_a_job_once(harness, redis):
    """Where its message is unanswered; nothing is announced for it."""
    asked, announced = [], []
    spec = JobSpec(
        job_id="job-selected",
        name="selection",
        mode=Mode.MERGE,
        journal=True,
        target="http://127.0.0.1/v1",
        columns=Columns("jsonl", "completion_id", []),
        rows=0,
        shards=0,
        shard_rows=2,
        rejected=0,
        folded=0,
        fingerprint="",
        keep_s=600.0,
        kind=Kind.PLAN,
    )
    await harness.ledger.job_store.create(spec, selection=b"{}")

    for lost in (False, True, False):
        if lost:
            await redis.hset(JobKeys(spec.job_id).job, "called_at", "1.0")
        await redis.delete(RESCUE_LOCK)
        await rescue_all(harness.ledger, lambda _, shards: announced.extend(shards), asked.append)

    assert (asked, announced) == ([spec.job_id], [])
