"""A turn at a shard ends in time, whatever happens, and hands back what it did not do."""

from __future__ import annotations

import asyncio
import time

import pytest

from ledger.errors import StateLost
from ledger.job import JobState
from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.shards import ReleaseAnswer
from ratelimit.limits import Limit

LONG_S = 30.0
"""Bound of what takes seconds at most on a machine that has time."""


def many(harness, completion_id, number=40):
    """Store so many completions and give a patch for each."""
    ids = [f"{completion_id[:-3]}{n}" for n in range(100, 100 + number)]
    harness.sandbox.store.load({each: {} for each in ids})
    return [(each, {"k": "v"}) for each in ids]


async def test_all_rows_of_a_shard_are_carried_out_once(harness, completion_id):
    """Each is read once and written once, never twice at a time, and the traffic is counted."""
    patches = many(harness, completion_id)
    job_id = await harness.submit(*patches, shard_rows=25)

    assert await harness.turn(job_id, 0) is ReleaseAnswer.CLOSED
    assert await harness.turn(job_id, 1) is ReleaseAnswer.FINISHED

    job = await harness.job(job_id)
    assert (job.counts.updated, job.traffic.requests) == (40, 80)
    assert all(harness.sandbox.store.metadata(each) == {"k": "v"} for each, _ in patches)
    assert harness.sandbox.log.stats.overlaps == 0


async def test_no_more_rows_are_in_flight_than_allowed(harness, completion_id):
    """The bound is kept, and used."""
    harness.sandbox.configure(latency_s=0.03)
    job_id = await harness.submit(*many(harness, completion_id))

    await harness.turn(job_id, in_flight=5)

    assert harness.sandbox.log.stats.max_in_flight == 5


async def test_a_shard_without_anything_left_is_closed(harness, completion_id):
    """The worker died after its last settlement: nothing is sent again."""
    job_id = await harness.submit((completion_id, {"k": "v"}))
    shard = await harness.lease(job_id)
    from ledger.job import Traffic
    from ledger.settlements import Settlement

    await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UPDATED)], Traffic())
    await harness.redis.zadd(JobKeys(job_id).leased, {"0": 1})
    await harness.ledger.shards.rescue(job_id)

    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED
    assert harness.sent() == []


async def test_a_shard_whose_time_is_up_hands_back_the_rest(harness, completion_id):
    """What was begun is ended, what was not is left for the next turn, and nothing is lost or done twice."""
    harness.limit = Limit(40.0, 1)
    patches = many(harness, completion_id)
    job_id = await harness.submit(*patches)

    assert await harness.turn(job_id, seconds=1.0) is ReleaseAnswer.WAITING
    counts = (await harness.job(job_id)).counts
    assert 0 < counts.updated < 40

    harness.limit = Limit(2000.0, 200)
    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED
    assert (await harness.job(job_id)).counts.updated == 40
    assert {harness.applied(each) for each, _ in patches} == {1}


async def test_a_worker_that_ends_hands_back_the_rest(harness, completion_id, eventually):
    """Requests in flight are answered and settled; nobody waits for the rate any more."""
    harness.limit = Limit(20.0, 1)
    job_id = await harness.submit(*many(harness, completion_id))
    stop = asyncio.Event()
    turn = asyncio.create_task(harness.turn(job_id, stopping=stop.is_set))
    await eventually(lambda: len(harness.sent("POST")) >= 3)

    stop.set()
    answer = await asyncio.wait_for(turn, LONG_S)

    assert answer is ReleaseAnswer.WAITING
    counts = (await harness.job(job_id)).counts
    assert counts.updated == sum(entry.applied for entry in harness.sent("POST")) > 0
    assert counts.failed == 0


@pytest.mark.parametrize("move", ["pause", "cancel"])
async def test_a_job_put_down_ends_its_turns_within_seconds(harness, completion_id, eventually, move):
    """No request is begun after the worker has seen it, and no row fails: few of the 4 s of rows are carried out."""
    harness.limit = Limit(20.0, 1)
    job_id = await harness.submit(*many(harness, completion_id))
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: len(harness.sent()) >= 3)

    if move == "pause":
        await harness.ledger.jobs.pause(job_id, by="test", code="user", reason="you asked")
    else:
        await harness.ledger.jobs.move(job_id, JobState.CANCELLED, come_from=[JobState.RUNNING])
    answer = await asyncio.wait_for(turn, LONG_S)

    counts = (await harness.job(job_id)).counts
    assert answer is ReleaseAnswer.WAITING
    assert (counts.failed, counts.pending > 0) == (0, True)


async def test_a_turn_whose_lease_was_lost_sends_nothing_more(harness, completion_id, eventually):
    """Another worker has the shard."""
    harness.limit = Limit(20.0, 1)
    job_id = await harness.submit(*many(harness, completion_id))
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: len(harness.sent()) >= 3)

    await harness.redis.hset(JobKeys(job_id).owners, "0", "somebody else")

    assert await asyncio.wait_for(turn, LONG_S) is ReleaseAnswer.LOST
    assert (await harness.job(job_id)).counts.pending > 0


async def test_a_ledger_that_came_back_empty_ends_the_turn(harness, completion_id, eventually):
    """Nothing is sent without a place to write it down, and nothing half comes back."""
    harness.limit = Limit(30.0, 1)
    job_id = await harness.submit(*many(harness, completion_id))
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: len(harness.sent("POST")) >= 2)

    await harness.redis.flushdb()
    with pytest.raises(StateLost):
        await asyncio.wait_for(turn, LONG_S)

    assert [key for key in await harness.redis.keys("*") if job_id.encode() in key] == []


async def test_a_stop_in_a_ledger_that_came_back_empty_is_no_crash(harness, completion_id, eventually):
    """There is no job left to pause; that is all there is to say."""
    harness.fault("unauthorized", seconds=0)
    harness.sandbox.configure(latency_s=0.3)
    job_id = await harness.submit((completion_id, {"k": "v"}))
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: len(harness.sent()) >= 1)

    await harness.redis.flushdb()
    with pytest.raises(StateLost):
        await asyncio.wait_for(turn, LONG_S)


@pytest.mark.whole
async def test_a_row_that_never_gets_an_answer_ends_as_failed_over_several_turns(harness, completion_id):
    """Its tries are longer than a turn, so they are counted over turns: a job never goes round for ever."""
    harness.api = {"timeout_s": 1.2}
    ((other, patch),) = many(harness, completion_id, 1)
    harness.fault("hang", "POST", id=completion_id)
    job_id = await harness.submit((completion_id, {"k": "v"}), (other, patch))
    deadline = time.monotonic() + 60

    while await harness.turn(job_id, seconds=0.2, attempts=3) is ReleaseAnswer.WAITING:
        assert time.monotonic() < deadline

    row = (await harness.rows(job_id))[0]
    assert (row.outcome, row.detail.code, row.detail.attempts) == (Outcome.FAILED, "timeout", 3)
    assert len([entry for entry in harness.sent("POST") if entry.id == completion_id]) == 3


async def test_the_traffic_of_rows_that_were_handed_back_is_counted(harness, completion_id):
    """What a job cost is what the server saw."""
    harness.fault("error_500")
    job_id = await harness.submit(*many(harness, completion_id, 3))

    await harness.turn(job_id, seconds=1.0)

    assert (await harness.job(job_id)).traffic.requests == len(harness.sent()) > 0


@pytest.mark.parametrize("journal", [True, False])
async def test_a_write_that_outlived_its_turn_is_confirmed_in_the_next(harness, completion_id, journal):
    """Also where no image was kept: the doubt goes along, and nothing is sent before a read."""
    harness.api = {"timeout_s": 0.6}
    harness.fault("hang_after", "POST", times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}), mode="replace", journal=journal)

    assert await harness.turn(job_id, seconds=0.2) is ReleaseAnswer.WAITING
    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")
    assert harness.applied() == 1
    assert not await harness.redis.exists(JobKeys(job_id).tries)


async def test_a_read_that_outlived_its_turn_leaves_an_unchanged_row_unchanged(harness, completion_id):
    """A failed read puts nothing in doubt, in this turn or the next."""
    harness.api = {"timeout_s": 0.6}
    harness.fault("hang", "GET", times=1)
    job_id = await harness.submit((completion_id, {"team": "blue"}))

    assert await harness.turn(job_id, seconds=0.2) is ReleaseAnswer.WAITING
    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED

    assert (await harness.row(job_id)).outcome is Outcome.UNCHANGED


async def test_a_row_that_gets_no_slot_to_write_leaves_no_image_behind(harness, completion_id, eventually):
    """A job that is paused has images of what was sent and of nothing else: an undo takes back only that."""
    harness.limit = Limit(40.0, 1)
    harness.sandbox.configure(latency_s=0.2)  # so that at any moment some are being read
    job_id = await harness.submit(*many(harness, completion_id))
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: len(harness.sent("POST")) >= 5)

    await harness.ledger.jobs.cancel(job_id, by="test")
    await asyncio.wait_for(turn, LONG_S)

    written = {entry.id for entry in harness.sent("POST")}
    assert {row.patch.completion_id for row in await harness.rows(job_id) if row.before is not None} == written
    assert len({entry.id for entry in harness.sent("GET")}) > len(written)


async def test_a_file_of_unknown_ids_alone_costs_little_more_than_a_hundred_requests(harness, completion_id):
    """As with the key of another project: the turn ends with the settlement that pauses the job."""
    harness.limit = Limit(600.0, 10)
    job_id = await harness.submit(*[(f"{completion_id[:-4]}{n}", {"k": "v"}) for n in range(1000, 1400)])

    assert await harness.turn(job_id) is ReleaseAnswer.WAITING

    job = await harness.job(job_id)
    assert (job.state, job.reason_code) == (JobState.PAUSED, "same_failure")
    assert 100 <= job.counts.failed == len(harness.sent()) < 300


@pytest.mark.parametrize("journal", [True, False])
async def test_a_worker_that_slept_sends_no_write_over_another_ones(harness, completion_id, eventually, journal):
    """Seven seconds pass while its row is read; the shard is another's by then, and the keeper does not know it yet."""
    harness.sandbox.configure(latency_s=0.5)
    job_id = await harness.submit((completion_id, {"k": "v"}), journal=journal)
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: harness.sandbox.log.stats.in_flight)

    harness.slept_s = 7.0
    await harness.redis.hset(JobKeys(job_id).owners, "0", "somebody else")

    assert await asyncio.wait_for(turn, LONG_S) is ReleaseAnswer.LOST
    assert harness.sent("POST") == []


async def test_a_worker_that_slept_and_still_has_its_shard_reads_again(harness, completion_id, eventually):
    """The age of a read counts from when it was sent: what others wrote while the worker slept is kept."""
    harness.sandbox.configure(latency_s=0.5)
    job_id = await harness.submit((completion_id, {"k": "v"}))
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: harness.sandbox.log.stats.in_flight)

    harness.slept_s = 11.0
    await eventually(lambda: len(harness.sent()) == 1 and not harness.sandbox.log.stats.in_flight)
    harness.sandbox.store.load({completion_id: {"team": "theirs"}})

    assert await asyncio.wait_for(turn, LONG_S) is ReleaseAnswer.FINISHED
    assert harness.sandbox.store.metadata(completion_id) == {"team": "theirs", "k": "v"}
    assert [entry.method for entry in harness.sent()] == ["GET", "GET", "POST"]


@pytest.mark.whole
async def test_what_the_api_answered_last_is_seen_in_the_job_while_no_row_ends(harness, completion_id):
    """Each renewal reports the last request that did not succeed."""
    harness.fault("error_500", id=completion_id)
    job_id = await harness.submit((completion_id, {"k": "v"}))
    assert await harness.turn(job_id, seconds=1.5, attempts=100) is ReleaseAnswer.WAITING
    await harness.redis.hset(JobKeys(job_id).job, "running_at", await harness.ledger.jobs.now() - 60)

    standstill = (await harness.job(job_id)).standstill

    assert standstill is not None
    assert standstill.last_error is not None
    assert (standstill.last_error.status, standstill.last_error.code) == (500, "server_error")
