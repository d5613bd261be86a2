"""Jobs are made, found, moved and forgotten; the same content is one job."""

from __future__ import annotations

import asyncio
import re

import pytest

from ledger.codec import pack_rejections, unpack_rejections
from ledger.errors import JobIdTaken, NoSuchJob
from ledger.fingerprints import ALIVE_S, Claim
from ledger.job import JobState, Traffic
from ledger.job_id import new_job_id
from ledger.job_states import SUBMITTED_KEEP_S
from ledger.keys import ACTIVE, JOBS, JobKeys, fingerprint_key
from ledger.row import Outcome, Patch, Rejection, UnsentRow
from ledger.row_reader import read_rejections, read_rows, read_unsent
from ledger.settlements import Settlement

# --- ids ---


async def test_a_job_is_never_written_over_another_one_of_the_same_id(harness, redis):
    """The second maker is refused, and the first job keeps every row, also while it is only being stored."""
    first = await harness.submit(rows=3)
    before = {key: await redis.dump(key) for key in await redis.keys("*")}

    with pytest.raises(JobIdTaken):
        await harness.ledger.job_store.create(harness.spec(rows=5, job_id=first.job_id))

    assert {key: await redis.dump(key) for key in await redis.keys("*")} == before
    assert (await harness.ledger.jobs.get(first.job_id)).spec == first


async def test_what_a_job_of_that_id_left_behind_takes_its_id(harness, redis):
    """Rejected rows of a torn job are not mixed with those of another one."""
    torn = await harness.submit(rows=2)
    await redis.delete(JobKeys(torn.job_id).job)

    with pytest.raises(JobIdTaken):
        await harness.ledger.job_store.create(harness.spec(job_id=torn.job_id))


def test_ids_sort_by_time_and_have_32_random_bits():
    """200 files that are submitted in one second meet one id twice in one of 200,000 nights, and draw again then."""
    ids = {new_job_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", job_id) for job_id in ids)


# --- states ---


async def test_a_job_that_is_being_stored_is_invisible_to_workers(harness):
    """Neither active nor announced, whatever is stored of it."""
    spec = harness.spec()
    await harness.store(spec)

    assert await harness.ledger.jobs.active() == []
    assert await harness.shards.to_announce(spec.job_id) == []
    assert await harness.state(spec) is JobState.SUBMITTING


@pytest.mark.parametrize(
    ("rows", "hold", "state", "active"),
    [(6, False, JobState.RUNNING, True), (6, True, JobState.HELD, True), (0, False, JobState.FINISHED, False)],
)
async def test_an_opened_job_starts_where_it_should(harness, rows, hold, state, active):
    """Running, held, or ended where there is nothing to send."""
    spec = harness.spec(rows=rows, rejected=2, unchanged=3)
    await harness.store(spec)
    await harness.ledger.job_store.open(spec.job_id, hold=hold)

    assert await harness.state(spec) is state
    assert (await harness.ledger.jobs.active() == [spec.job_id]) is active
    counts = await harness.counts(spec)
    assert (counts.total, counts.rejected, counts.unchanged, counts.pending) == (rows + 5, 2, 3, rows)


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.LOST])
async def test_only_a_running_job_can_be_paused(harness, state):
    """An ended job does not come back, and the first reason stays."""
    spec = await harness.submit()
    await harness.ledger.jobs.move(spec.job_id, state, come_from=[JobState.RUNNING], code="first", reason="the first")

    had = await harness.ledger.jobs.pause(spec.job_id, by="test", code="second", reason="the second")

    job = await harness.ledger.jobs.get(spec.job_id)
    assert had is state
    if state is JobState.RUNNING:
        assert (job.state, job.reason_code, job.reason) == (JobState.PAUSED, "second", "the second")
    else:
        assert (job.state, job.reason_code) == (state, "first")


async def test_a_resumed_job_has_no_reason_any_more(harness):
    """The reason belongs to the pause."""
    spec = await harness.submit()
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="c", reason="r")
    await harness.ledger.jobs.resume(spec.job_id, by="test")

    job = await harness.ledger.jobs.get(spec.job_id)
    assert (job.state, job.reason, job.reason_code) == (JobState.RUNNING, None, None)


async def test_what_a_worker_met_before_a_job_was_resumed_does_not_pause_it(harness):
    """Who resumed it may have corrected that; what is met since pauses it again."""
    spec = await harness.submit()
    earlier = await harness.lease(spec, 0)
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="c", reason="r", running_since=earlier.running_since)
    assert await harness.state(spec) is JobState.PAUSED
    await harness.ledger.jobs.resume(spec.job_id, by="test")
    later = await harness.lease(spec, 1)

    states = []
    for shard in (earlier, later):
        await harness.ledger.jobs.pause(spec.job_id, by="w", code="c", reason="r", running_since=shard.running_since)
        states.append(await harness.state(spec))

    assert states == [JobState.RUNNING, JobState.PAUSED]


async def test_moving_a_job_that_is_not_there_is_told(harness, redis):
    """And leaves nothing behind."""
    with pytest.raises(NoSuchJob):
        await harness.ledger.jobs.pause("none", by="test", code="c", reason="r")
    with pytest.raises(NoSuchJob):
        await harness.ledger.jobs.get("none")
    assert await redis.keys("*") == []


@pytest.mark.parametrize("lost", ["outcomes", "counts"])
async def test_a_torn_job_is_lost_and_never_finished(harness, redis, lost):
    """Where a part is gone, the job says so."""
    spec = await harness.submit()
    await redis.delete(getattr(JobKeys(spec.job_id), lost))

    assert await harness.state(spec) is JobState.LOST


async def test_an_ended_job_expires_with_everything_it_has(harness, redis):
    """After the time it was to be kept, and not before."""
    spec = await harness.submit(rows=2, keep_s=600.0)
    await harness.ledger.jobs.retire(spec.job_id)

    assert await harness.ledger.jobs.active() == []
    lives = [await redis.ttl(key) for key in await redis.keys(f"*{spec.job_id}*")]
    assert all(590 <= life <= 600 for life in lives)


async def test_a_job_that_is_opened_once_more_after_its_end_stays_ended(harness, redis):
    """By a reader that was stopped just before, while another one opened it: it expires in time, and is not active."""
    spec = await harness.submit(rows=2, keep_s=600.0)
    await harness.ledger.jobs.cancel(spec.job_id, by="ada")
    await harness.ledger.jobs.retire(spec.job_id)

    await harness.ledger.job_store.open(spec.job_id)

    assert await harness.state(spec) is JobState.CANCELLED
    assert await harness.ledger.jobs.active() == []
    lives = [await redis.ttl(key) for key in await redis.keys(f"*{spec.job_id}*")]
    assert all(590 <= life <= 600 for life in lives)


async def test_a_job_that_has_expired_is_forgotten_on_the_way(harness, redis):
    """The list of jobs mends itself."""
    kept, gone = await harness.submit(), await harness.submit()
    await redis.delete(JobKeys(gone.job_id).job)

    assert [job.spec.job_id for job in await harness.ledger.jobs.latest(10)] == [kept.job_id]
    assert await redis.zrange(JOBS, 0, -1) == [kept.job_id.encode()]
    assert await redis.smembers(ACTIVE) == {kept.job_id.encode()}


# --- reports ---


async def test_rows_are_read_in_the_order_of_the_file(harness, redis):
    """Over all shards, with the last one not full."""
    spec = await harness.submit(rows=5, shard_rows=2)

    assert [row.patch.completion_id async for row in read_rows(redis, spec)] == [f"id-{n}" for n in range(5)]


async def test_rejected_rows_are_read_group_after_group(harness, redis):
    """With their cells as they were read."""
    groups = [[Rejection(n, None, "why", ["a", "é\n"]) for n in range(at, at + 3)] for at in (1, 4)]
    spec = harness.spec(rejected=6)
    await harness.store(spec)
    for group in groups:
        await harness.ledger.job_store.store_rejections(spec.job_id, group)
        assert unpack_rejections(pack_rejections(group), len(group)) == group

    assert [rejection async for rejection in read_rejections(redis, spec)] == groups[0] + groups[1]


async def test_rows_for_which_nothing_is_sent_are_read_group_after_group(harness, redis):
    """And a job of release one, which stored none, has none."""
    groups = [[UnsentRow(Patch(n, "a", {"k": None}), n - 1 if n % 2 else None) for n in at] for at in ((2, 3), (4,))]
    spec = harness.spec(unchanged=2, folded=1)
    await harness.store(spec)
    assert [row async for row in read_unsent(redis, spec)] == []
    for group in groups:
        await harness.ledger.job_store.store_unsent(spec.job_id, group)

    assert [row async for row in read_unsent(redis, spec)] == groups[0] + groups[1]


# --- the same content is one job ---


async def test_the_first_job_of_a_content_has_it(harness):
    """Who comes later is told which job it is."""
    first = await harness.submit()
    claim = harness.ledger.fingerprints.claim

    assert await claim("f", first.job_id, 600) == Claim(first.job_id)
    assert await claim("f", "job-second", 600) == Claim(first.job_id)
    assert await claim("other", "job-second", 600) == Claim("job-second")


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.PAUSED, JobState.HELD])
async def test_a_job_that_has_not_ended_keeps_its_content(harness, state):
    """It will be carried out, or somebody is to decide about it: the same content is not stored twice."""
    first = await harness.submit()
    await harness.ledger.fingerprints.claim("f", first.job_id, 600)
    await harness.ledger.jobs.move(first.job_id, state, come_from=[JobState.RUNNING], code="c", reason="r")

    assert await harness.ledger.fingerprints.claim("f", "job-second", 600) == Claim(first.job_id)
    assert await harness.ledger.fingerprints.holder("f") == first.job_id


@pytest.mark.parametrize("outcome", list(Outcome)[1:])
@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.CANCELLED, JobState.LOST])
async def test_of_ended_jobs_only_one_that_applied_a_row_keeps_its_content(harness, redis, state, outcome):
    """Any other gives it up, is named, and stays readable: nothing that it did can be relied on."""
    first = await harness.submit(rows=1)
    await harness.ledger.fingerprints.claim("f", first.job_id, 600)
    shard = await harness.lease(first, 0)
    await harness.ledger.settlements.settle(shard, [Settlement(0, outcome)], Traffic())
    if state is JobState.LOST:
        await redis.delete(JobKeys(first.job_id).outcomes)
    else:
        await harness.ledger.jobs.move(first.job_id, state, come_from=[JobState.RUNNING])
    keeps = state is JobState.FINISHED and outcome in {Outcome.UPDATED, Outcome.UNCHANGED}

    assert (await harness.ledger.fingerprints.holder("f") == first.job_id) is keeps
    claim = await harness.ledger.fingerprints.claim("f", "job-second", 600)
    assert claim == (Claim(first.job_id) if keeps else Claim("job-second", former=first.job_id))
    assert await harness.state(first) is state


async def test_a_job_whose_producer_died_is_replaced_and_removed(harness, redis):
    """Half a job is of no use to anybody."""
    half = harness.spec()
    await harness.ledger.fingerprints.claim("f", half.job_id, 600)
    await harness.store(half)
    await redis.delete(JobKeys(half.job_id).producer)

    assert await harness.ledger.fingerprints.claim("f", "job-second", 600) == Claim("job-second")
    assert await redis.keys(f"*{half.job_id}*") == []
    with pytest.raises(NoSuchJob):
        await harness.ledger.jobs.get(half.job_id)


async def test_a_job_that_is_just_being_stored_is_waited_for(harness):
    """Two producers at once make one job: the second gets the first one's id once it is open."""
    first = harness.spec()
    await harness.ledger.fingerprints.claim("f", first.job_id, 600)
    second = asyncio.create_task(harness.ledger.fingerprints.claim("f", "job-second", 600))
    await harness.store(first)
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done

    await harness.ledger.job_store.open(first.job_id)

    assert await asyncio.wait_for(second, 5) == Claim(first.job_id)


async def test_many_producers_at_once_replace_a_dead_one_once(harness, redis):
    """One of them gets the content, the others wait for it."""
    half = harness.spec()
    await harness.ledger.fingerprints.claim("f", half.job_id, 600)
    await redis.delete(JobKeys(half.job_id).producer)
    specs = [harness.spec() for _ in range(5)]

    async def produce(spec):
        holder = (await harness.ledger.fingerprints.claim("f", spec.job_id, 600)).job_id
        if holder == spec.job_id:
            await harness.store(spec)
            await harness.ledger.job_store.open(spec.job_id)
        return holder

    holders = await asyncio.wait_for(asyncio.gather(*(produce(spec) for spec in specs)), 10)

    assert len(set(holders)) == 1
    assert await harness.ledger.jobs.active() == [holders[0]]


async def test_a_content_whose_job_has_expired_is_free(harness):
    """The word of a job that is gone holds nobody back."""
    await harness.redis.set(fingerprint_key("f"), "gone")

    assert await harness.ledger.fingerprints.claim("f", "job-second", 600) == Claim("job-second")


async def test_again_takes_the_content_from_whoever_has_it(harness, redis):
    """The user asked for it; the older job is left alone."""
    first = await harness.submit()
    await harness.ledger.fingerprints.claim("f", first.job_id, 600)

    await harness.ledger.fingerprints.take("f", "job-second", 600)

    assert await redis.get(fingerprint_key("f")) == b"job-second"
    assert await harness.state(first) is JobState.RUNNING
    assert 0 < await redis.ttl(JobKeys("job-second").producer) <= ALIVE_S
    assert 600 < await redis.ttl(fingerprint_key("f")) <= SUBMITTED_KEEP_S + 600, "as long as the job may be there"
