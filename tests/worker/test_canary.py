"""A canary's rows count as updated only once a read shows them, after the lag that is known of the service."""

from __future__ import annotations

import asyncio

import pytest

from ledger.claims import claim_of
from ledger.job import CANARY_FAILED_CODE, Canary, JobState
from ledger.keys import JobKeys, claim_key
from ledger.row import Outcome
from ledger.shards import LeaseAnswer, ReleaseAnswer
from worker.row_failures import READ_BACK_CODE
from worker.service import Service

LAG_S = 0.4


@pytest.fixture
def ids(harness, completion_id):
    """Thirty completions that are stored."""
    ids = [f"{completion_id[:-3]}{number}" for number in range(100, 130)]
    harness.sandbox.store.load({each: {"team": "blue"} for each in ids})
    return ids


@pytest.fixture
async def job(harness, ids):
    """A job of thirty rows, of which twenty are its canary."""
    return await harness.submit(*((each, {"k": "v"}) for each in ids), canary=20)


async def test_each_row_of_a_canary_is_read_back_and_no_other(harness, ids, job):
    """Three requests a row, of which the last is a read; then the rest follows, with two."""
    assert await harness.turn(job, 0) is ReleaseAnswer.CLOSED

    seen = await harness.job(job)
    assert (seen.counts.updated, seen.canary, seen.traffic.requests) == (20, Canary.PASSED, 60)
    for each in ids[:20]:
        assert [entry.method for entry in harness.sent() if entry.id == each] == ["GET", "POST", "GET"]
    assert await harness.turn(job, 1) is ReleaseAnswer.FINISHED
    assert (await harness.job(job)).traffic.requests == 80
    assert {row.detail for row in await harness.rows(job)} == {None}


async def test_the_read_waits_for_the_lag_that_was_probed(harness, ids, job):
    """Rows wait without a lane, so that twenty of them wait together on two; no read is sent twice."""
    harness.service = Service(visible_after_s=LAG_S)
    harness.sandbox.configure(read_lag_s=LAG_S * 0.9)

    await harness.turn(job, 0, in_flight=2)

    assert (await harness.job(job)).canary is Canary.PASSED
    assert len(harness.sent("GET")) == 40


async def test_a_read_that_lags_longer_is_made_again(harness, ids, job):
    """By the rule of any stale read: a state from before the write decides nothing until it has lasted."""
    harness.sandbox.configure(read_lag_s=LAG_S)

    await harness.turn(job, 0)

    seen = await harness.job(job)
    assert (seen.canary, seen.counts.updated) == (Canary.PASSED, 20)
    assert len(harness.sent("POST")) == 20, "nothing is written twice"


async def test_a_write_that_no_read_shows_fails_the_row_and_the_canary(harness, ids, job):
    """Nothing is sent again, and the rest of the job waits for somebody."""
    harness.service = Service(stale_s=0.3)
    harness.sandbox.configure(read_lag_s=3600.0)

    await harness.turn(job, 0)

    seen = await harness.job(job)
    assert (seen.state, seen.reason_code, seen.counts.failed) == (JobState.PAUSED, CANARY_FAILED_CODE, 20)
    assert [row.detail.code for row in await harness.rows(job) if row.detail] == [READ_BACK_CODE] * 20
    assert len(harness.sent("POST")) == 20
    assert await harness.ledger.shards.lease(job, 1, "other") is LeaseAnswer.IDLE


@pytest.mark.parametrize(("patch", "mode"), [({"k": " v "}, "merge"), ({"k": "V"}, "replace")])
async def test_a_service_that_alters_values_later_is_found_out(harness, ids, eventually, patch, mode):
    """Its answers show what was sent; what it keeps is something else. The report names keys and lengths, no values."""
    harness.service = Service(visible_after_s=LAG_S)
    job = await harness.submit(*((each, patch) for each in ids), canary=20, mode=mode)

    def alter_written() -> bool:
        for entry in harness.sent("POST"):
            stored = harness.sandbox.store.metadata(entry.id)
            stored |= {key: value.strip().lower() for key, value in stored.items()}
        return len(harness.sent("POST")) == 20

    turn = asyncio.create_task(harness.turn(job, 0))
    await eventually(alter_written)
    await turn

    seen = await harness.job(job)
    assert (seen.state, seen.counts.failed) == (JobState.PAUSED, 20)
    detail = (await harness.rows(job))[0].detail
    assert detail.code == READ_BACK_CODE
    assert "k (sent" in detail.message
    assert {harness.sandbox.store.metadata(each).get("k") for each in ids[20:]} == {None}


async def test_a_key_that_somebody_else_adds_meanwhile_differs_in_replace_only(harness, ids, eventually):
    """A merge leaves other keys to others; a replace asked for the whole map."""
    harness.service = Service(visible_after_s=LAG_S)
    merge = await harness.submit((ids[0], {"k": "v"}), canary=1)
    replace = await harness.submit((ids[1], {"k": "v"}), canary=1, mode="replace")

    turns = [asyncio.create_task(harness.turn(job)) for job in (merge, replace)]
    await eventually(lambda: len(harness.sent("POST")) == 2)
    for each in ids[:2]:
        harness.sandbox.store.metadata(each)["theirs"] = "x"
    await asyncio.gather(*turns)

    assert (await harness.row(merge)).outcome is Outcome.UPDATED
    assert (await harness.row(replace)).outcome is Outcome.FAILED


async def test_rows_that_hold_what_they_should_are_not_read_twice(harness, ids):
    """Nothing was written, so there is nothing to read back."""
    job = await harness.submit(*((each, {"team": "blue"}) for each in ids), canary=20)

    await harness.turn(job, 0)

    assert (await harness.job(job)).counts.unchanged == 20
    assert len(harness.sent()) == 20


async def test_a_turn_that_ends_before_the_read_hands_it_to_the_next(harness, ids, job):
    """The row keeps its claim and is in doubt meanwhile; the next turn reads and writes nothing again."""
    harness.service = Service(visible_after_s=3600.0)
    assert await harness.turn(job, 0, seconds=0.5) is ReleaseAnswer.WAITING
    assert (await harness.job(job)).counts.updated == 0
    held = await harness.redis.get(claim_key(claim_of(harness.sandbox.base_url, ids[0])))
    assert held.startswith(job.encode())

    harness.service = Service()
    assert await harness.turn(job, 0) is ReleaseAnswer.CLOSED

    assert (await harness.job(job)).counts.updated == 20
    assert {harness.applied(each) for each in ids[:20]} == {1}


async def test_a_worker_killed_after_the_write_leaves_the_read_to_the_next(harness, ids, job):
    """Its image is all that is left: the next worker reads, waits for the lag, and reads once more."""
    shard = await harness.lease(job, 0)
    await harness.journal(job, 0, {"team": "blue"})
    harness.sandbox.store.metadata(ids[0])["k"] = "v"
    await harness.redis.zadd(JobKeys(job).leased, {"0": 1})
    await harness.ledger.shards.rescue(job)
    assert shard.number == 0
    harness.service = Service(visible_after_s=LAG_S)

    await harness.turn(job, 0)

    assert (await harness.rows(job))[0].outcome is Outcome.UPDATED
    assert [entry.method for entry in harness.sent() if entry.id == ids[0]] == ["GET", "GET"]
    assert (await harness.job(job)).canary is Canary.PASSED


async def test_a_read_back_that_keeps_failing_fails_the_row(harness, ids, job):
    """The write is known, its effect is not: a canary that cannot be read has not passed."""
    harness.fault("error_500", "GET", id=ids[0], after=1)

    await harness.turn(job, 0)

    first = (await harness.rows(job))[0]
    assert first.outcome is Outcome.FAILED
    assert (await harness.job(job)).reason_code == CANARY_FAILED_CODE
    assert harness.applied(ids[0]) == 1
