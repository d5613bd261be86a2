"""Shards go from hand to hand: announced, leased, renewed, released, rescued, closed; and none is ever lost."""

from __future__ import annotations

import asyncio

import pytest

from ledger.codec import BeforeImage, Detail, Tries
from ledger.errors import StateLost
from ledger.job import JobState, Traffic
from ledger.keys import JobKeys
from ledger.progress import Waits
from ledger.row import Outcome
from ledger.row_reader import read_rows
from ledger.settlements import Settlement
from ledger.shards import PARK_AFTER, LeaseAnswer, ReleaseAnswer

NOTHING = Traffic()
CRASH = Detail("worker_crash", 0, "died", "", 0, 1.0)


async def settle_all(harness, shard, outcome=Outcome.UPDATED):
    """Settle every row of the shard."""
    return await harness.ledger.settlements.settle(shard, [Settlement(row, outcome) for row in shard.todo], NOTHING)


# --- announce ---


async def test_no_more_shards_are_announced_than_workers_can_take(harness):
    """Each child gets one and each worker one more; without a worker there are two."""
    spec = await harness.submit(rows=40)

    assert await harness.shards.to_announce(spec.job_id) == [0, 1]
    assert await harness.shards.to_announce(spec.job_id) == []
    await harness.ledger.workers.beat("w1", 4)
    assert await harness.shards.to_announce(spec.job_id) == [2, 3, 4]
    await harness.ledger.workers.beat("w2", 2)
    assert await harness.shards.to_announce(spec.job_id) == [5, 6, 7]


async def test_a_leased_shard_keeps_its_place_in_the_window(harness):
    """A shard that ends makes room for one other."""
    spec = await harness.submit(rows=40)
    await harness.shards.to_announce(spec.job_id)
    shard = await harness.lease(spec, 0)

    assert await harness.shards.to_announce(spec.job_id) == []
    await settle_all(harness, shard)
    await harness.shards.release(shard)
    assert await harness.shards.to_announce(spec.job_id) == [2]


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED, JobState.HELD, JobState.SUBMITTING])
async def test_a_job_that_does_not_run_announces_nothing(harness, state):
    """Its shards wait."""
    spec = await harness.submit()
    await harness.ledger.jobs.move(spec.job_id, state, come_from=[JobState.RUNNING], code="c", reason="r")

    assert await harness.shards.to_announce(spec.job_id) == []
    assert (await harness.places(spec))["waiting"] == [0, 1, 2]


async def test_announcing_at_once_from_many_workers_announces_each_shard_once(harness):
    """The window and the choice are one step."""
    spec = await harness.submit(rows=40)
    await harness.ledger.workers.beat("w", 9)

    chosen = await asyncio.gather(*(harness.shards.to_announce(spec.job_id) for _ in range(20)))

    assert sorted(number for numbers in chosen for number in numbers) == list(range(10))


async def test_a_silent_worker_does_not_count(harness, redis):
    """Its heartbeat is too old."""
    await harness.ledger.workers.beat("w1", 4)
    seconds, _ = await redis.time()
    await redis.zadd("relabel:workers", {"w0|8": seconds - 60})

    assert await harness.ledger.workers.children() == [4]


# --- lease ---


async def test_only_one_of_many_gets_a_shard(harness):
    """The others learn that it is busy."""
    spec = await harness.submit()

    answers = await asyncio.gather(*(harness.shards.lease(spec.job_id, 1, f"w{n}") for n in range(20)))

    assert sorted(answers).count(LeaseAnswer.LEASED) == 1
    assert set(answers) == {LeaseAnswer.LEASED, LeaseAnswer.BUSY}


async def test_the_owner_may_ask_again(harness):
    """A lost answer to the first question is no reason to leave the shard alone."""
    spec = await harness.submit()
    await harness.lease(spec, 0, "w1")

    assert await harness.shards.lease(spec.job_id, 0, "w1") is LeaseAnswer.LEASED
    assert await harness.shards.lease(spec.job_id, 0, "w2") is LeaseAnswer.BUSY


async def test_a_shard_that_has_ended_is_done(harness):
    """A message that comes twice finds nothing to do."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    await settle_all(harness, shard)
    await harness.shards.release(shard)

    assert await harness.shards.lease(spec.job_id, 0, "w2") is LeaseAnswer.DONE
    assert await harness.shards.lease(spec.job_id, 99, "w2") is LeaseAnswer.DONE


async def test_a_job_that_is_not_there_is_gone(harness):
    """A message may outlive its job."""
    assert await harness.shards.lease("none", 0, "w") is LeaseAnswer.GONE
    assert await harness.shards.load("none", 0, "w") is None


async def test_a_shard_of_a_paused_job_is_put_back(harness):
    """It waits, and is announced again after the resume."""
    spec = await harness.submit()
    await harness.shards.to_announce(spec.job_id)
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="c", reason="r")

    assert await harness.shards.lease(spec.job_id, 0, "w") is LeaseAnswer.IDLE
    assert await harness.places(spec) == {"waiting": [0, 2], "announced": [1], "leased": []}

    await harness.ledger.jobs.resume(spec.job_id, by="test")
    assert await harness.shards.to_announce(spec.job_id) == [0]


async def test_an_expired_lease_is_left_to_the_rescue(harness):
    """So the crash is counted."""
    spec = await harness.submit()
    await harness.lease(spec, 0, "w1")
    await harness.expire_lease(spec, 0)

    assert await harness.shards.lease(spec.job_id, 0, "w2") is LeaseAnswer.BUSY


async def test_a_shard_is_loaded_with_what_earlier_turns_left(harness):
    """Rows that have an outcome are not done again; images are there."""
    spec = await harness.submit(rows=5, shard_rows=3)
    shard = await harness.lease(spec, 1)
    assert {row: patch.completion_id for row, patch in shard.todo.items()} == {0: "id-3", 1: "id-4"}
    await harness.ledger.settlements.journal(shard, [BeforeImage(1, {"a": "1"})], [])
    await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UPDATED)], NOTHING)
    await harness.shards.release(shard)

    again = await harness.lease(spec, 1, "w2")

    assert list(again.todo) == [1]
    assert again.images == {1: BeforeImage(1, {"a": "1"})}


@pytest.mark.parametrize("lost", ["shards", "outcomes"])
async def test_a_torn_job_is_not_loaded(harness, redis, lost):
    """Where Redis dropped a part, nothing is guessed."""
    spec = await harness.submit()
    assert await harness.shards.lease(spec.job_id, 0, "w") is LeaseAnswer.LEASED
    await redis.delete(getattr(JobKeys(spec.job_id), lost))

    assert await harness.shards.load(spec.job_id, 0, "w") is None


# --- renew ---


async def test_a_renewal_lengthens_the_lease_and_tells_the_state(harness, redis):
    """Pause and cancel reach the worker this way, and what it waits for reaches the user."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    await harness.expire_lease(spec, 0)

    assert await harness.shards.renew(shard, Waits(3, 2, 1, 1.5, "rate_limited")) is JobState.RUNNING

    assert await redis.zscore(JobKeys(spec.job_id).leased, "0") > 1000
    waits = (await harness.ledger.jobs.get(spec.job_id)).waits
    assert (waits.in_flight, waits.for_rate, waits.backing_off, waits.paused_by) == (3, 2, 1, "rate_limited")
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="c", reason="r")
    assert await harness.shards.renew(shard, Waits()) is JobState.PAUSED


async def test_a_lost_lease_is_not_renewed(harness, redis):
    """After a rescue, after a flush."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    await harness.expire_lease(spec, 0)
    await harness.shards.rescue(spec.job_id)

    assert await harness.shards.renew(shard, Waits()) is None
    assert (await harness.places(spec))["leased"] == []
    await redis.flushdb()
    assert await harness.shards.renew(shard, Waits()) is None
    assert await redis.keys("*") == []


# --- settle ---


async def test_a_row_is_counted_once_whoever_says_it(harness):
    """The first outcome stays; the second writes nothing."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    settle = harness.ledger.settlements.settle

    assert await settle(shard, [Settlement(0, Outcome.UPDATED), Settlement(1, Outcome.FAILED, CRASH)], NOTHING) == 2
    assert await settle(shard, [Settlement(0, Outcome.FAILED, CRASH), Settlement(1, Outcome.UPDATED)], NOTHING) == 0

    counts = await harness.counts(spec)
    assert (counts.updated, counts.failed, counts.pending) == (1, 1, 4)
    rows = [row async for row in read_rows(harness.redis, spec)]
    assert [(row.outcome, row.detail) for row in rows[:2]] == [(Outcome.UPDATED, None), (Outcome.FAILED, CRASH)]


async def test_a_row_said_twice_in_one_breath_is_counted_once(harness):
    """A group may hold a row twice after a lost answer."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)

    assert await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UPDATED)] * 3, NOTHING) == 1
    assert (await harness.counts(spec)).updated == 1


async def test_nothing_is_settled_in_a_ledger_that_came_back_empty(harness, redis):
    """Neither outcomes nor images bring a lost job back half."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    await redis.flushdb()

    with pytest.raises(StateLost):
        await settle_all(harness, shard)
    with pytest.raises(StateLost):
        await harness.ledger.settlements.journal(shard, [BeforeImage(0, {})], [])
    assert await harness.shards.release(shard) is ReleaseAnswer.LOST
    assert await redis.keys("*") == []


# --- release ---


async def test_a_shard_with_rows_left_waits_for_its_next_turn(harness):
    """It goes back to its place in the order."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 1)
    await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UPDATED)], NOTHING)

    assert await harness.shards.release(shard) is ReleaseAnswer.WAITING
    assert await harness.places(spec) == {"waiting": [0, 1, 2], "announced": [], "leased": []}


async def test_the_last_shard_finishes_the_job(harness):
    """Whichever comes last; the ones before are just closed."""
    spec = await harness.submit()
    answers = []
    for number in (2, 0, 1):
        shard = await harness.lease(spec, number)
        await settle_all(harness, shard)
        answers.append(await harness.shards.release(shard))

    job = await harness.ledger.jobs.get(spec.job_id)
    assert answers == [ReleaseAnswer.CLOSED, ReleaseAnswer.CLOSED, ReleaseAnswer.FINISHED]
    assert (job.state, job.finished_at is not None, job.counts.pending) == (JobState.FINISHED, True, 0)


@pytest.mark.parametrize(
    ("state", "ends"), [(JobState.PAUSED, JobState.FINISHED), (JobState.CANCELLED, JobState.CANCELLED)]
)
async def test_a_job_put_down_at_its_last_row_ends_as_it_should(harness, state, ends):
    """A paused job without rows left is finished, and has no reason any more; a cancelled one stays cancelled."""
    spec = await harness.submit(rows=2)
    shard = await harness.lease(spec, 0)
    await harness.ledger.jobs.move(spec.job_id, state, come_from=[JobState.RUNNING], code="c", reason="r")
    await settle_all(harness, shard)

    await harness.shards.release(shard)

    assert await harness.state(spec) is ends


async def test_who_lost_the_lease_cannot_release(harness):
    """The shard is another's."""
    spec = await harness.submit()
    first = await harness.lease(spec, 0, "w1")
    await harness.expire_lease(spec, 0)
    await harness.shards.rescue(spec.job_id)
    await harness.lease(spec, 0, "w2")

    assert await harness.shards.release(first) is ReleaseAnswer.LOST
    assert (await harness.places(spec))["leased"] == [0]


async def test_a_closed_shard_keeps_its_images_in_one_group(harness, redis):
    """The journal of the turn goes, what a report reads stays."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    for image in ({"a": "1"}, {"a": "2"}):
        await harness.ledger.settlements.journal(shard, [BeforeImage(0, image)], [])
    await harness.ledger.settlements.journal(shard, [BeforeImage(1, {})], [])
    await settle_all(harness, shard)
    await harness.shards.release(shard)

    assert not await redis.exists(JobKeys(spec.job_id).journal(0))
    assert [row.before async for row in read_rows(redis, spec)] == [{"a": "2"}, {}, None, None, None, None]


# --- rescue ---


async def test_what_nobody_is_at_waits_again(harness):
    """A lost message and a dead worker's shard; not what is fresh."""
    spec = await harness.submit(rows=8)
    await harness.ledger.workers.beat("w", 3)
    await harness.shards.to_announce(spec.job_id)
    await harness.lease(spec, 0)
    await harness.lease(spec, 1)
    await harness.expire_lease(spec, 1)
    await harness.lose_announcement(spec, 2)

    assert (await harness.shards.rescue(spec.job_id)).parked == []
    assert await harness.places(spec) == {"waiting": [1, 2], "announced": [3], "leased": [0]}


async def test_a_shard_that_kills_its_worker_each_time_is_parked(harness):
    """After so many deaths in a row without one row settled."""
    spec = await harness.submit()
    parked = []
    for death in range(PARK_AFTER):
        await harness.lease(spec, 0, f"w{death}")
        await harness.expire_lease(spec, 0)
        parked.append((await harness.shards.rescue(spec.job_id)).parked)

    assert parked == [[], [], [], [0]]


async def test_a_row_settled_between_two_deaths_counts_as_progress(harness):
    """A shard that moves on is not to blame."""
    spec = await harness.submit(rows=20, shard_rows=10)
    for death in range(PARK_AFTER + 2):
        shard = await harness.lease(spec, 0, f"w{death}")
        await harness.ledger.settlements.settle(shard, [Settlement(death, Outcome.UPDATED)], NOTHING)
        await harness.expire_lease(spec, 0)
        assert (await harness.shards.rescue(spec.job_id)).parked == []


async def test_a_turn_that_ends_well_forgives_the_deaths_before(harness):
    """Deaths count in a row only."""
    spec = await harness.submit()
    for death in range(PARK_AFTER - 1):
        await harness.lease(spec, 0, f"w{death}")
        await harness.expire_lease(spec, 0)
        await harness.shards.rescue(spec.job_id)
    await harness.shards.release(await harness.lease(spec, 0, "well"))
    await harness.lease(spec, 0, "last")
    await harness.expire_lease(spec, 0)

    assert (await harness.shards.rescue(spec.job_id)).parked == []


async def test_rescuing_a_job_that_is_gone_leaves_nothing_behind(harness, redis):
    """No key comes back."""
    assert await harness.shards.rescue("none") == ([], 0, 0)
    assert await redis.keys("*") == []


async def test_one_worker_at_a_time_rescues(harness):
    """The right is taken for a while."""
    taken = await asyncio.gather(*(harness.shards.take_rescue(30) for _ in range(10)))

    assert taken.count(True) == 1


# --- close ---


async def test_a_worker_that_lives_takes_its_crash_back(harness):
    """It could not reach Redis for a while, again and again: no row is parked that was never tried. Once a lease."""
    spec = await harness.submit()
    for lease in range(PARK_AFTER + 2):
        shard = await harness.lease(spec, 0, owner=f"w:{lease}")
        await harness.expire_lease(spec, 0)
        assert (await harness.shards.rescue(spec.job_id)).parked == []

        assert await harness.shards.survive(spec.job_id, 0, shard.owner)
        assert not await harness.shards.survive(spec.job_id, 0, shard.owner)


async def test_another_workers_crash_still_counts(harness):
    """Of many leases that ran out, those of the workers that died."""
    spec = await harness.submit()
    parked = []
    for lease in range(PARK_AFTER * 2):
        shard = await harness.lease(spec, 0, owner=f"w:{lease}")
        await harness.expire_lease(spec, 0)
        parked = (await harness.shards.rescue(spec.job_id)).parked
        if lease % 2:
            await harness.shards.survive(spec.job_id, 0, shard.owner)
        elif parked:
            break

    assert (parked, lease) == ([0], (PARK_AFTER - 1) * 2)


async def test_traffic_is_counted_once_though_an_answer_was_lost(harness):
    """The same is said again: of the turn's sums only what is new counts; the next turn's begin at nothing."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    settlements = harness.ledger.settlements
    for _ in range(2):
        await settlements.settle(shard, [Settlement(0, Outcome.UPDATED)], Traffic(requests=4, retries=1))
    for _ in range(2):
        await settlements.hand_back(shard, {1: Tries(1, in_doubt=False)}, Traffic(requests=6, retries=1, throttled=1))
    await harness.shards.release(shard)
    shard = await harness.lease(spec, 0)
    await settlements.settle(shard, [Settlement(1, Outcome.UPDATED)], Traffic(requests=2))

    traffic = (await harness.ledger.jobs.get(spec.job_id)).traffic

    assert traffic == Traffic(requests=8, retries=1, throttled=1)


async def test_a_parked_shard_ends_its_open_rows_alone(harness):
    """Rows that have an outcome keep it."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    await harness.ledger.settlements.settle(shard, [Settlement(1, Outcome.UPDATED)], NOTHING)
    await harness.shards.release(shard)

    assert await harness.shards.close(spec, 0, Outcome.FAILED, CRASH) == 1

    counts = await harness.counts(spec)
    assert (counts.updated, counts.failed, counts.pending) == (1, 1, 4)
    assert await harness.places(spec) == {"waiting": [1, 2], "announced": [], "leased": []}
    rows = [row async for row in read_rows(harness.redis, spec)]
    assert (rows[0].detail, rows[1].detail) == (CRASH, None)


async def test_a_shard_that_a_worker_is_at_is_not_closed(harness):
    """Its rows are the worker's to settle."""
    spec = await harness.submit()
    await harness.lease(spec, 0)

    assert await harness.shards.close(spec, 0, Outcome.CANCELLED, None) == -1
    assert (await harness.counts(spec)).pending == 6


async def test_closing_the_last_shard_finishes_the_job(harness):
    """A poison shard may be the last."""
    spec = await harness.submit(rows=2)

    assert await harness.shards.close(spec, 0, Outcome.FAILED, CRASH) == 2
    assert await harness.state(spec) is JobState.FINISHED
    assert await harness.shards.close(spec, 0, Outcome.FAILED, CRASH) == 0


async def test_closing_all_shards_of_a_cancelled_job_cancels_every_open_row(harness):
    """And the job stays cancelled."""
    spec = await harness.submit()
    await harness.ledger.jobs.move(spec.job_id, JobState.CANCELLED, come_from=[JobState.RUNNING])
    for number in range(spec.shards):
        await harness.shards.close(spec, number, Outcome.CANCELLED, None)

    assert (await harness.counts(spec)).cancelled == 6
    assert await harness.state(spec) is JobState.CANCELLED
    assert await harness.shards.close(harness.spec(), 0, Outcome.CANCELLED, None) == -1


# --- nothing stays for ever ---


async def test_every_key_of_a_running_job_has_an_end(harness, redis):
    """A job that is abandoned in the middle takes all its keys along when its time is over."""
    spec = await harness.submit()
    await harness.shards.to_announce(spec.job_id)
    await harness.lease(spec, 2)
    await harness.expire_lease(spec, 2)
    await harness.shards.rescue(spec.job_id)
    closed = await harness.lease(spec, 1)
    await harness.ledger.settlements.journal(closed, [BeforeImage(0, {})], [])
    await harness.ledger.settlements.settle(
        closed, [Settlement(0, Outcome.FAILED, CRASH), Settlement(1, Outcome.UPDATED)], Traffic(requests=1)
    )
    await harness.shards.release(closed)
    open_shard = await harness.lease(spec, 0)
    await harness.ledger.settlements.journal(open_shard, [BeforeImage(0, {})], [])
    await harness.shards.renew(open_shard, Waits())
    await harness.ledger.jobs.bound(spec.job_id)

    keys = sorted(await redis.keys(f"*{spec.job_id}*"))
    assert len(keys) >= 12
    assert [key for key in keys if await redis.ttl(key) < 0] == []
