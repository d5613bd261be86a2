"""When failures are too many: a share of the rows that ended, or a number of them."""

from __future__ import annotations

import pytest

from config.failure_limit import FailureLimit
from ledger.codec import Detail
from ledger.failures import past_limit
from ledger.job import JobState, Traffic
from ledger.job_spec import Kind
from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.settlements import Settlement


@pytest.mark.parametrize(
    ("limit", "failed", "settled", "passed"),
    [
        ("5%", 6, 100, True),
        ("5%", 5, 100, False),
        ("5%", 99, 99, False),
        ("0.5%", 6, 1000, True),
        ("0%", 1, 100, True),
        ("0%", 0, 100, False),
        ("20", 21, 100, True),
        ("20", 20, 1000, False),
        ("20", 60, 60, False),
        ("0", 1, 100, True),
    ],
)
def test_a_limit_is_passed_once_enough_rows_have_ended(limit, failed, settled, passed):
    """More than the share or the number, and at least a hundred rows."""
    assert FailureLimit.parse(limit).is_passed(failed, settled) is passed


@pytest.mark.parametrize("text", ["", "%", "five", "-1", "101%", "1.5", "5 %x", "1e9"])
def test_what_is_neither_a_share_nor_a_number_is_refused(text):
    """So that a typo does not switch the limit off."""
    with pytest.raises(ValueError):  # noqa: PT011 - its message is the text itself
        FailureLimit.parse(text)


async def test_failures_that_were_known_at_the_resume_do_not_count(harness, redis):
    """The limit starts anew, or a resumed job would pause at its next failure."""
    spec = await harness.submit(600, 100, max_failures="5%")
    counts = JobKeys(spec.job_id).counts
    await redis.hset(counts, mapping={"failed": 30, "updated": 170})
    assert await past_limit(redis, spec) == (30, 200)

    await harness.ledger.jobs.pause(spec.job_id, by="test", code="x", reason="x")
    await harness.ledger.jobs.resume(spec.job_id, by="test")
    assert await past_limit(redis, spec) is None

    await redis.hset(counts, mapping={"failed": 36, "updated": 264})
    assert await past_limit(redis, spec) == (6, 100)
    assert await harness.state(spec) is JobState.RUNNING


async def test_without_a_limit_nothing_is_too_much(harness, redis):
    """Nothing is read."""
    spec = await harness.submit()

    assert await past_limit(redis, spec) is None


def failed(shard, *codes):
    """Rows of the shard that fail with these codes, from its first one on."""
    return [
        Settlement(row, Outcome.FAILED, Detail(code, 404, "no", "", 1, 0.0))
        for row, code in enumerate(codes)
        if row in shard.todo
    ]


async def settle(harness, shard, *codes, then=()):
    """Settle rows that fail with these codes, and then some that end otherwise."""
    more = [Settlement(len(codes) + place, outcome) for place, outcome in enumerate(then)]
    await harness.ledger.settlements.settle(shard, [*failed(shard, *codes), *more], Traffic())


async def test_a_job_whose_first_hundred_rows_fail_alike_pauses(harness):
    """Over all its shards, at the hundredth row and not before; the reason names the code."""
    spec = await harness.submit(600, 60)
    first, second = await harness.lease(spec, 0), await harness.lease(spec, 1, "worker-2")

    await settle(harness, first, *["not_found"] * 60)
    await settle(harness, second, *["not_found"] * 39)
    before = await harness.state(spec)
    await settle(harness, second, *["not_found"] * 60)

    job = await harness.ledger.jobs.get(spec.job_id)
    assert (before, job.state, job.reason_code) == (JobState.RUNNING, JobState.PAUSED, "same_failure")
    assert "100 rows" in job.reason
    assert "not_found" in job.reason
    assert job.counts.failed == 120


@pytest.mark.parametrize("odd", ["another code", "a success", "a success in the same group"])
async def test_one_row_among_the_first_that_ended_otherwise_lets_the_job_go_on(harness, odd):
    """Also where the group of rows that is settled together goes on beyond the hundredth."""
    spec = await harness.submit(600, 300)
    shard = await harness.lease(spec, 0)

    if odd == "another code":
        await settle(harness, shard, *["not_found"] * 50, "timeout", *["not_found"] * 149)
    elif odd == "a success":
        await settle(harness, shard, *["not_found"] * 99, then=[Outcome.UPDATED])
        await settle(harness, shard, *["not_found"] * 300)
    else:
        await settle(harness, shard, *["not_found"] * 99, then=[Outcome.UNCHANGED, Outcome.UPDATED])
        await settle(harness, shard, *["not_found"] * 300)

    assert await harness.state(spec) is JobState.RUNNING


async def test_rows_beyond_the_hundredth_change_nothing(harness):
    """A group of 130: a hundred fail alike, then some succeed."""
    spec = await harness.submit(600, 300)

    await settle(harness, await harness.lease(spec, 0), *["not_found"] * 100, then=[Outcome.UPDATED] * 30)

    assert await harness.state(spec) is JobState.PAUSED


@pytest.mark.parametrize(("rows", "state"), [(19, JobState.FINISHED), (20, JobState.PAUSED), (99, JobState.PAUSED)])
async def test_a_small_job_pauses_once_all_its_rows_failed_alike(harness, rows, state):
    """It does not count as finished before somebody looked; in a job of fewer than 20 rows that says nothing."""
    spec = await harness.submit(rows, 500)
    shard = await harness.lease(spec, 0)

    await settle(harness, shard, *["not_found"] * rows)
    await harness.shards.release(shard)

    assert await harness.state(spec) is state


async def test_a_resumed_job_never_stops_for_it_again(harness):
    """Whoever resumed it knows: the rest is carried out to its end."""
    spec = await harness.submit(240, 120)
    first = await harness.lease(spec, 0)
    await settle(harness, first, *["not_found"] * 120)
    await harness.shards.release(first)

    assert await harness.ledger.jobs.resume(spec.job_id, by="test") is JobState.PAUSED
    second = await harness.lease(spec, 1)
    await settle(harness, second, *["not_found"] * 120)
    await harness.shards.release(second)

    assert await harness.state(spec) is JobState.FINISHED


async def test_a_resumed_job_without_a_row_left_is_finished(harness, redis):
    """And expires as any that ended."""
    spec = await harness.submit(20, 20)
    shard = await harness.lease(spec, 0)
    await settle(harness, shard, *["not_found"] * 20)
    await harness.shards.release(shard)

    await harness.ledger.jobs.resume(spec.job_id, by="test")

    job = await harness.ledger.jobs.get(spec.job_id)
    assert (job.state, job.reason, job.finished_at is not None) == (JobState.FINISHED, None, True)
    assert spec.job_id not in await harness.ledger.jobs.active()
    assert await redis.pttl(JobKeys(spec.job_id).job) <= spec.keep_s * 1000


async def test_a_resume_of_a_job_that_lost_its_shards_does_not_finish_it(harness, redis):
    """Rows are left that nobody will carry out."""
    spec = await harness.submit(20, 20)
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="state_lost", reason="x")
    await redis.delete(JobKeys(spec.job_id).waiting)

    await harness.ledger.jobs.resume(spec.job_id, by="test")

    assert await harness.state(spec) is JobState.RUNNING


async def test_a_held_job_that_is_started_is_watched(harness):
    """`resume` is how it starts: nobody has seen a row of it yet."""
    spec = harness.spec(200, 200)
    await harness.store(spec)
    await harness.ledger.job_store.open(spec.job_id, hold=True)
    await harness.ledger.jobs.resume(spec.job_id, by="test")

    await settle(harness, await harness.lease(spec, 0), *["not_found"] * 100)

    assert await harness.state(spec) is JobState.PAUSED


async def test_it_can_be_switched_off_and_no_share_switches_it_off(harness):
    """`--max-failures none` does, `100%` does not; an undo is watched as a file is."""
    states = {}
    for limit in ("none", "100%", None):
        spec = await harness.submit(200, 200, max_failures=limit, kind=Kind.UNDO)
        await settle(harness, await harness.lease(spec, 0), *["not_found"] * 200)
        assert await past_limit(harness.redis, spec) is None
        states[limit] = await harness.state(spec)

    assert states == {"none": JobState.RUNNING, "100%": JobState.PAUSED, None: JobState.PAUSED}


async def test_a_job_of_release_one_that_was_under_way_is_left_alone(harness, redis):
    """What its first rows were is not known any more."""
    spec = await harness.submit(200, 200)
    await redis.hdel(JobKeys(spec.job_id).job, "same_after")

    await settle(harness, await harness.lease(spec, 0), *["not_found"] * 200)

    assert await harness.state(spec) is JobState.RUNNING
