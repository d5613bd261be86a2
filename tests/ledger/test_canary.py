"""A job's canary is given out alone, and decides together with its last row whether the rest follows."""

from __future__ import annotations

import time

import pytest

from ledger.codec import Detail
from ledger.job import CANARY_FAILED_CODE, Canary, JobState, Traffic
from ledger.row import Outcome
from ledger.settlements import Settlement
from ledger.shards import LeaseAnswer, ReleaseAnswer

ROWS, SHARD_ROWS, CANARY = 60, 15, 20
"""The canary's shards have 15 and 5 rows, the others 15, 15 and 10."""


def canary_spec(harness, **changes):
    """A job that stores a canary in shards of its own."""
    given = {"canary": CANARY, "rows": ROWS, "shards": 5} | changes
    return harness.spec(shard_rows=SHARD_ROWS, **given)


@pytest.fixture
async def job(harness):
    """A running job with a canary."""
    spec = canary_spec(harness)
    await harness.store(spec)
    await harness.ledger.job_store.open(spec.job_id)
    return spec


async def end(harness, spec, number, outcomes=(), *, owner="worker-1", code="not_found"):
    """Let a worker settle all rows of a shard and release it; rows without an outcome are updated."""
    shard = await harness.lease(spec, number, owner)
    detail = Detail(code, 404, "no such completion", "", 1, time.time())
    settled = [
        Settlement(row, outcome, detail if outcome is Outcome.FAILED else None)
        for row, outcome in zip(shard.todo, [*outcomes, *[Outcome.UPDATED] * spec.rows_in(number)], strict=False)
    ]
    await harness.ledger.settlements.settle(shard, settled, Traffic())
    return await harness.shards.release(shard)


async def seen(harness, spec):
    """The job as it stands."""
    return await harness.ledger.jobs.get(spec.job_id)


def test_each_row_is_in_one_place(harness):
    """The shards cover all rows once, and each row is found where its shard has it."""
    spec = canary_spec(harness)

    places = [(shard, place) for shard in range(spec.shards) for place in range(spec.rows_in(shard))]

    assert [spec.rows_in(shard) for shard in range(spec.shards)] == [15, 5, 15, 15, 10]
    assert [spec.first_row(shard) for shard in range(spec.shards)] == [0, 15, 20, 35, 50]
    assert [spec.place_of(row) for row in range(spec.rows)] == places


@pytest.mark.parametrize("rows", range(1, 30))
def test_rows_are_found_by_their_place_in_the_input(harness, rows):
    """A canary is stored first and evenly spread; the place in the input tells where a row is stored, and back."""
    for canary in range(rows + 1):
        spec = canary_spec(harness, rows=rows, canary=canary)
        first = {number * rows // canary for number in range(canary)}
        stored = [*sorted(first), *(place for place in range(rows) if place not in first)]

        assert [spec.stored_row(place) for place in stored] == list(range(rows))
        assert sorted(range(rows), key=spec.input_order) == [spec.stored_row(place) for place in range(rows)]


async def test_only_the_canary_is_given_out(harness, job):
    """Whatever room the window has, and also to a message that is late or made up; such a shard waits on."""
    assert await harness.shards.to_announce(job.job_id) == [0, 1]

    assert await harness.shards.lease(job.job_id, 2, "worker-1") is LeaseAnswer.IDLE
    assert (await harness.places(job))["waiting"] == [2, 3, 4]


async def test_the_rest_follows_once_the_whole_canary_has_ended_well(harness, job):
    """Not after its first shard; the log says who found it in order."""
    await end(harness, job, 0)
    assert (await seen(harness, job)).canary is Canary.RUNNING
    assert await harness.shards.to_announce(job.job_id) == [1]

    await end(harness, job, 1, [Outcome.UNCHANGED, Outcome.DRIFTED])

    assert (await seen(harness, job)).canary is Canary.PASSED
    assert await harness.shards.to_announce(job.job_id) == [2, 3]
    line = (await harness.ledger.audit.read(job.job_id))[-1]
    assert (line.who, line.verb) == ("worker-1", "canary")


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([Outcome.FAILED], "of 20 canary rows 1 failed (not_found 1)"),
        ([Outcome.DRIFTED] * 3, "of 20 canary rows 3 had drifted, more than 10 %"),
        (
            [Outcome.DRIFTED, Outcome.DRIFTED, Outcome.DRIFTED, Outcome.FAILED, Outcome.FAILED],
            "of 20 canary rows 2 failed (not_found 2) and 3 had drifted, more than 10 %",
        ),
    ],
)
async def test_a_canary_that_fails_pauses_the_job(harness, job, outcomes, reason):
    """One failed row does, or more than a tenth that drifted; the reason counts them, and no other shard goes out."""
    await end(harness, job, 0, outcomes)
    await end(harness, job, 1)

    paused = await seen(harness, job)
    assert (paused.state, paused.reason_code, paused.reason) == (JobState.PAUSED, CANARY_FAILED_CODE, reason)
    assert (paused.canary, paused.waits_for_decision, paused.canary_ended) == (Canary.FAILED, True, 20)
    assert paused.paused_at is not None
    line = (await harness.ledger.audit.read(job.job_id))[-1]
    assert (line.who, line.verb, line.why) == ("worker-1", "pause", reason)
    assert await harness.shards.to_announce(job.job_id) == []
    assert await harness.shards.lease(job.job_id, 2, "worker-1") is LeaseAnswer.IDLE


async def test_two_of_twenty_may_drift(harness, job):
    """A tenth is not more than a tenth."""
    await end(harness, job, 0, [Outcome.DRIFTED] * 2)
    await end(harness, job, 1)

    assert (await seen(harness, job)).canary is Canary.PASSED


async def test_who_resumes_a_failed_canary_lets_the_rest_go(harness, job):
    """The log says what was overruled, and by whom."""
    await end(harness, job, 0, [Outcome.FAILED])
    await end(harness, job, 1)

    assert await harness.ledger.jobs.resume(job.job_id, by="ann@host") is JobState.PAUSED

    resumed = await seen(harness, job)
    assert (resumed.state, resumed.canary, resumed.reason) == (JobState.RUNNING, Canary.OVERRULED, None)
    assert await harness.shards.to_announce(job.job_id) == [2, 3]
    line = (await harness.ledger.audit.read(job.job_id))[-1]
    assert (line.who, line.verb) == ("ann@host", "resume")
    assert "canary_failed" in line.why


async def test_who_resumes_an_unfinished_canary_lets_nothing_else_go(harness, job):
    """A pause in its middle decides nothing."""
    await end(harness, job, 0)
    await harness.ledger.jobs.pause(job.job_id, by="ann@host", code="paused", reason="by ann@host")
    await harness.ledger.jobs.resume(job.job_id, by="ann@host")

    assert await harness.shards.to_announce(job.job_id) == [1]


async def test_a_canary_that_fails_while_the_job_is_paused_says_so(harness, job):
    """Rows in flight were its last: whoever resumes the job for another reason sees this one first."""
    await end(harness, job, 0, [Outcome.FAILED])
    shard = await harness.lease(job, 1)
    await harness.ledger.jobs.pause(job.job_id, by="ann@host", code="paused", reason="by ann@host")
    rows = [Settlement(row, Outcome.UPDATED) for row in shard.todo]
    await harness.ledger.settlements.settle(shard, rows, Traffic())

    await harness.shards.release(shard)

    paused = await seen(harness, job)
    assert (paused.state, paused.reason_code) == (JobState.PAUSED, CANARY_FAILED_CODE)


async def test_a_worker_that_dies_before_it_releases_the_canary_delays_the_decision(harness, job):
    """The rows have ended, the shard is not closed: the next worker finds nothing to do, and decides."""
    await end(harness, job, 0)
    shard = await harness.lease(job, 1)
    rows = [Settlement(row, Outcome.UPDATED) for row in shard.todo]
    await harness.ledger.settlements.settle(shard, rows, Traffic())
    await harness.expire_lease(job, 1)
    await harness.shards.rescue(job.job_id)
    assert (await seen(harness, job)).canary is Canary.RUNNING

    assert await harness.shards.to_announce(job.job_id) == [1]
    assert await end(harness, job, 1, owner="worker-2") is ReleaseAnswer.CLOSED
    assert (await seen(harness, job)).canary is Canary.PASSED


async def test_a_canary_shard_that_is_parked_fails_it(harness, job):
    """Workers died at it four times; the rest is not tried on them."""
    await end(harness, job, 0)
    crash = Detail("worker_crash", 0, "workers died at these rows", "", 0, time.time())

    await harness.shards.close(job, 1, Outcome.FAILED, crash, by="worker-2")

    paused = await seen(harness, job)
    assert (paused.state, paused.reason) == (JobState.PAUSED, "of 20 canary rows 5 failed (worker_crash 5)")


async def test_a_cancelled_job_asks_no_canary(harness, job):
    """All its shards are closed, in whatever order."""
    await end(harness, job, 0, [Outcome.FAILED])
    await harness.ledger.jobs.cancel(job.job_id, by="ann@host")

    assert await harness.shards.close_all(job, Outcome.CANCELLED)
    assert await harness.state(job) is JobState.CANCELLED
    assert (await harness.counts(job)).cancelled == ROWS - 15


async def test_a_job_that_is_all_canary_finishes(harness):
    """There is nothing left to hold back, so that it ends as any job does; the log says how its canary did."""
    spec = canary_spec(harness, rows=15, shards=1, canary=15)
    await harness.store(spec)
    await harness.ledger.job_store.open(spec.job_id)

    assert await end(harness, spec, 0, [Outcome.FAILED]) is ReleaseAnswer.FINISHED

    finished = await seen(harness, spec)
    assert (finished.state, finished.canary) == (JobState.FINISHED, Canary.FAILED)


async def test_many_codes_are_named_up_to_five(harness, job):
    """They come from the server, so that their number is bounded."""
    shard = await harness.lease(job, 0)
    rows = [
        Settlement(row, Outcome.FAILED, Detail(f"code_{row % 7}", 400, "no", "", 1, time.time())) for row in shard.todo
    ]
    await harness.ledger.settlements.settle(shard, rows, Traffic())
    await harness.shards.release(shard)
    await end(harness, job, 1)

    reason = (await seen(harness, job)).reason
    assert reason == ("of 20 canary rows 15 failed (code_0 3, code_1 2, code_2 2, code_3 2, code_4 2, others 4)")
