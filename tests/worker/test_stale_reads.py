"""Reads that lag behind a settled write: no key of another job is lost, and an undo restores all the same."""

from __future__ import annotations

import asyncio

import pytest

from ledger.claims import claim_of
from ledger.keys import JobKeys, claim_key
from ledger.row import Outcome
from ledger.shards import ReleaseAnswer
from worker.service import Service

OTHER = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqY"
FOR_EVER = 3600.0


@pytest.fixture
def done(harness, completion_id):
    """Carry out a job of one row and give the row."""

    async def done(patch, **options):
        job_id = await harness.submit((completion_id, patch), **options)
        assert await harness.turn(job_id) is ReleaseAnswer.FINISHED
        done.job_id = job_id
        return await harness.row(job_id)

    return done


def lagging(harness, seconds, *, stale_s=0.3):
    """Let reads lag, and let a row wait for them so long."""
    harness.sandbox.configure(read_lag_s=seconds)
    harness.service = Service(stale_s=stale_s)


@pytest.mark.parametrize("journal", [True, False])
async def test_two_jobs_within_the_lag_both_keep_their_keys(harness, completion_id, done, journal):
    """The second one's first read shows neither; it waits until the first one's key is shown."""
    lagging(harness, 0.6, stale_s=20.0)

    await done({"k1": "1"}, journal=journal)
    row = await done({"k2": "2"}, journal=journal)

    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue", "k1": "1", "k2": "2"}
    assert (row.outcome, row.detail) == (Outcome.UPDATED, None)
    assert row.before == ({"team": "blue", "k1": "1"} if journal else None)


@pytest.mark.parametrize("journal", [True, False])
async def test_where_reads_go_on_lagging_each_recorded_write_is_taken_as_done(harness, completion_id, done, journal):
    """Four jobs on one completion, and reads show none of them: all keys are there, and the rows say so."""
    lagging(harness, FOR_EVER)

    await done({"k1": "1"}, journal=journal)
    for key in ("k2", "k3", "k4"):
        row = await done({key: key}, journal=journal)
        assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "stale_read")

    assert harness.sandbox.store.metadata(completion_id) == {
        "team": "blue",
        "k1": "1",
        "k2": "k2",
        "k3": "k3",
        "k4": "k4",
    }
    assert row.before == ({"team": "blue", "k1": "1", "k2": "k2", "k3": "k3"} if journal else None)


async def test_a_replace_without_undo_is_known_to_who_comes_after_it(harness, completion_id, done):
    """It read nothing, and the record before it tells what it wrote over."""
    lagging(harness, FOR_EVER)
    await done({"k1": "1"})
    await done({"x": "x"}, mode="replace", journal=False)

    await done({"k2": "2"})

    assert harness.sandbox.store.metadata(completion_id) == {"x": "x", "k2": "2"}


async def test_an_unchanged_row_leaves_the_record_as_it_found_it(harness, completion_id, done):
    """A job that had nothing to do does not make the next one forget."""
    lagging(harness, FOR_EVER)
    await done({"k1": "1"})
    row = await done({"k1": "1"})
    assert (row.outcome, row.detail.code) == (Outcome.UNCHANGED, "stale_read")

    await done({"k2": "2"})

    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue", "k1": "1", "k2": "2"}


async def test_a_third_state_is_somebody_elses_and_nothing_waits(harness, completion_id, done):
    """Their edit is what is there."""
    await done({"k1": "1"})
    harness.sandbox.store.load({completion_id: {"team": "theirs"}})
    sent = len(harness.sent())

    row = await done({"k2": "2"})

    assert [entry.method for entry in harness.sent()[sent:]] == ["GET", "POST"]
    assert (row.detail, row.before) == (None, {"team": "theirs"})


async def test_a_row_that_waits_holds_neither_a_lane_nor_its_claim(harness, completion_id, done, eventually):
    """With one lane the rows behind it go first, and its completion is free meanwhile."""
    lagging(harness, FOR_EVER, stale_s=1.5)
    harness.sandbox.store.load({OTHER: {}})
    await done({"k1": "1"})
    job_id = await harness.submit((completion_id, {"k2": "2"}), (OTHER, {"k2": "2"}))

    turn = asyncio.create_task(harness.turn(job_id, in_flight=1))
    await eventually(lambda: any(entry.id == OTHER for entry in harness.sent("POST")))
    key = claim_key(claim_of(harness.sandbox.base_url, completion_id))

    async def is_free():
        return (await harness.redis.get(key)).startswith(b"= ")

    await eventually(is_free)
    is_pending = not turn.done()
    await turn

    assert is_pending
    assert [entry.id for entry in harness.sent("POST")[1:]] == [OTHER, completion_id]
    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue", "k1": "1", "k2": "2"}


async def test_a_row_goes_on_waiting_in_the_next_turn(harness, completion_id, done):
    """What it waited for already counts."""
    lagging(harness, FOR_EVER, stale_s=1.5)
    await done({"k1": "1"})
    job_id = await harness.submit((completion_id, {"k2": "2"}))

    assert await harness.turn(job_id, seconds=0.1) is ReleaseAnswer.WAITING
    (tries,) = (await harness.lease(job_id)).tries.values()
    assert (tries.failures, tries.stale_reads, tries.in_doubt) == (0, 1, False)
    assert tries.stale_since > 0


async def test_a_row_in_doubt_waits_with_its_claim(harness, completion_id, done):
    """Its own write may still be running, so nobody may come between; no other job's key is lost."""
    lagging(harness, FOR_EVER)
    await done({"k1": "1"})
    job_id = await harness.submit((completion_id, {"k2": "2"}))
    await harness.journal(job_id, 0, {"team": "blue", "k1": "1"})

    await harness.turn(job_id)

    assert (await harness.row(job_id)).before == {"team": "blue", "k1": "1"}
    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue", "k1": "1", "k2": "2"}


async def test_nothing_is_sent_where_nobody_knows_what_the_recorded_write_was(harness, completion_id, done):
    """Its job is gone from the ledger: the row fails rather than take a key away."""
    lagging(harness, FOR_EVER)
    await done({"k1": "1"})
    await harness.redis.delete(JobKeys(done.job_id).job)
    sent = len(harness.sent("POST"))

    row = await done({"k2": "2"})

    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "stale_read")
    assert len(harness.sent("POST")) == sent


async def test_a_reply_that_shows_a_state_before_a_recorded_write_is_stale(harness, completion_id, done):
    """It is older than what the row read: one read tells that the update is in."""
    await done({"k1": "1"})
    body = {"id": completion_id, "metadata": {"team": "blue"}}
    harness.fault("shows_before", "POST")
    harness.sandbox.configure(read_lag_s=0)
    del body

    row = await done({"k2": "2"})

    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")


# --- a service whose replies only echo the request ---


@pytest.mark.parametrize(
    ("semantics", "outcome", "code"),
    [("merge", Outcome.FAILED, "key_not_removed"), ("replace", Outcome.UPDATED, "confirmed_by_read")],
)
async def test_where_replies_only_echo_a_read_confirms_removals(harness, completion_id, done, semantics, outcome, code):
    """And nothing else: a row that only sets a key costs no read more."""
    harness.service = Service(reads_confirm=True)
    harness.sandbox.configure(semantics=semantics)
    harness.fault("echo", "POST")

    row = await done({"team": None, "k": "v"})
    assert (row.outcome, row.detail.code) == (outcome, code)

    sent = len(harness.sent())
    await done({"other": "v"})
    assert [entry.method for entry in harness.sent()[sent:]] == ["GET", "POST"]
