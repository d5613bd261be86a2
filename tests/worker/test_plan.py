"""The rows of a plan: read and never written, how they end, and what is kept of them."""

from __future__ import annotations

import asyncio

import pytest

from ledger.claims import claim_of
from ledger.job import JobState
from ledger.job_spec import Kind
from ledger.keys import claim_key
from ledger.plan_counts import ValueChange
from ledger.row import Outcome
from ledger.shards import ReleaseAnswer
from report.digest import job_digest, shard_digest
from worker.job_end import retire
from worker.rescue import rescue_all
from worker.service import Service

MISSING = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqY"
FULL = {f"key{number}": "v" for number in range(16)}


@pytest.fixture
def planned(harness, completion_id):
    """Plan one row, and give it as a report reads it."""

    async def planned(patch, *, row_id=completion_id, **options):
        job_id = await harness.submit((row_id, patch), kind=Kind.PLAN, **options)
        assert await harness.turn(job_id) is ReleaseAnswer.FINISHED
        assert (await harness.job(job_id)).state is JobState.FINISHED
        assert harness.sent("POST") == []
        return await harness.row(job_id)

    return planned


@pytest.mark.parametrize(
    ("mode", "patch", "outcome"),
    [
        ("merge", {"k": "v"}, Outcome.WOULD_CHANGE),
        ("merge", {"team": "blue"}, Outcome.UNCHANGED),
        ("merge", {"team": None}, Outcome.WOULD_CHANGE),
        ("merge", {"absent": None}, Outcome.UNCHANGED),
        ("replace", {"k": "v"}, Outcome.WOULD_CHANGE),
        ("replace", {"team": "blue"}, Outcome.UNCHANGED),
        ("replace", {}, Outcome.WOULD_CHANGE),
    ],
)
@pytest.mark.parametrize("seen", [None, {"team": "blue"}])
async def test_a_row_would_change_where_a_write_would_change_it(harness, planned, mode, patch, outcome, seen):
    """What is there is kept of a row that would change, and only of it; what a selection saw is not read again."""
    row = await planned(patch, mode=mode, seen=seen)

    assert (row.outcome, row.detail) == (outcome, None)
    assert row.before == ({"team": "blue"} if outcome is Outcome.WOULD_CHANGE else None)
    assert len(harness.sent("GET")) == (1 if seen is None else 0)


@pytest.mark.parametrize("seen", [None, FULL])
async def test_a_row_fails_where_the_result_would_have_too_many_pairs(harness, completion_id, planned, seen):
    harness.sandbox.store.load({completion_id: FULL})

    row = await planned({"one more": "v"}, seen=seen)

    assert (row.outcome, row.detail.code, row.before) == (Outcome.FAILED, "too_many_pairs", None)


async def test_a_key_that_goes_makes_room_for_another(harness, completion_id, planned):
    harness.sandbox.store.load({completion_id: FULL})

    row = await planned({"one more": "v", "key0": None})

    assert (row.outcome, row.before) == (Outcome.WOULD_CHANGE, FULL)


async def test_a_row_fails_where_the_api_knows_no_such_completion(harness, completion_id):
    """As the write would, with what the API said."""
    job_id = await harness.submit((completion_id, {"k": "v"}), (MISSING, {"k": "v"}), kind=Kind.PLAN)

    await harness.turn(job_id, in_flight=1)

    found, missing = await harness.rows(job_id)
    assert (found.outcome, missing.outcome) == (Outcome.WOULD_CHANGE, Outcome.FAILED)
    assert (missing.detail.code, missing.detail.status) == ("not_found", 404)


async def test_a_row_fails_where_no_answer_shows_the_metadata(harness, planned):
    harness.fault("no_metadata", "GET")

    row = await planned({"k": "v"})

    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "metadata_not_shown")


@pytest.mark.parametrize("fault", ["error_500", "reset_before", "html_502", "bad_body_truncated", "rate_limited"])
async def test_a_read_that_failed_is_tried_again(harness, planned, fault):
    harness.fault(fault, "GET", times=1)

    assert (await planned({"k": "v"})).outcome is Outcome.WOULD_CHANGE


async def test_a_plan_neither_holds_back_another_job_nor_waits_for_it(harness, completion_id, eventually):
    """A job has the completion in flight, and the plan reads it all the same; no claim of the plan is left."""
    writing = await harness.submit((completion_id, {"k": "1"}))
    plan = await harness.submit((completion_id, {"k": "2"}), kind=Kind.PLAN)
    harness.fault("slow", "POST", seconds=2.0)
    update = asyncio.create_task(harness.turn(writing))
    await eventually(lambda: harness.sent("GET"))

    assert await harness.turn(plan) is ReleaseAnswer.FINISHED

    assert not update.done()
    assert await update is ReleaseAnswer.FINISHED
    assert (await harness.row(writing)).outcome is Outcome.UPDATED
    held = await harness.redis.get(claim_key(claim_of(harness.sandbox.base_url, completion_id)))
    assert held.startswith(b"= ")  # the record that the write left


@pytest.mark.parametrize(("lag_s", "code"), [(0.6, None), (3600.0, "stale_read")])
async def test_a_read_that_lags_behind_a_settled_write_counts_only_once_it_shows_it(
    harness, completion_id, lag_s, code
):
    """A read that goes on lagging is taken on from what the write left, and the row says so."""
    harness.sandbox.configure(read_lag_s=lag_s)
    harness.service = Service(stale_s=20.0 if code is None else 0.3)
    await harness.turn(await harness.submit((completion_id, {"k": "1"})))
    plan = await harness.submit((completion_id, {"k": "2"}), kind=Kind.PLAN)

    await harness.turn(plan)

    row = await harness.row(plan)
    assert (row.outcome, row.before) == (Outcome.WOULD_CHANGE, {"team": "blue", "k": "1"})
    assert (row.detail.code if row.detail else None) == code


async def test_a_row_that_a_killed_worker_had_read_is_read_again(harness, completion_id):
    """The image that is kept is that of the read by which the row ended."""
    plan = await harness.submit((completion_id, {"k": "v"}), kind=Kind.PLAN)
    await harness.journal(plan, 0, {"team": "red"})

    await harness.turn(plan)

    assert (await harness.row(plan)).before == {"team": "blue"}


async def test_a_cancelled_plan_leaves_no_row_in_doubt(harness, completion_id):
    """A row that was read and not settled was never written."""
    plan = await harness.submit((completion_id, {"k": "v"}), kind=Kind.PLAN)
    await harness.journal(plan, 0, {"team": "blue"})
    await harness.ledger.jobs.cancel(plan, by="me")
    job = await harness.job(plan)

    assert await harness.ledger.shards.close_all(job.spec, Outcome.CANCELLED)

    job = await harness.job(plan)
    assert (job.counts.cancelled, job.may_have_been_written) == (1, 0)


async def test_what_a_plan_would_change_is_counted_and_digested_though_its_workers_were_killed(harness, completion_id):
    """They settled the last rows and were killed before they counted their shards: the next worker counts them."""
    second = completion_id[:-1] + "Z"
    harness.sandbox.store.load({completion_id: {"team": "blue"}, second: {"team": "blue", "k": "v"}})
    rows = [(completion_id, {"k": "v"}), (second, {"k": "v"}), (second, {"team": None})]
    plan = await harness.submit(*rows, kind=Kind.PLAN, shard_rows=2)
    await harness.turn(plan, 0)
    await harness.turn(plan, 1)
    job = await harness.job(plan)
    assert (job.state, job.digest) == (JobState.FINISHED, None)

    await rescue_all(harness.ledger, lambda *_: None, lambda _: None)

    read = await harness.rows(plan)
    digests = [shard_digest(read[:2], job.spec.mode), shard_digest(read[2:], job.spec.mode)]
    assert (await harness.job(plan)).digest == job_digest(job.spec.target, job.spec.mode, digests)
    assert await harness.ledger.plans.digests(job.spec) == digests
    changes = (await harness.ledger.plans.read(plan)).changes
    assert changes == {ValueChange("k", None, "v"): 1, ValueChange("team", "blue", None): 1}


async def test_a_digest_stays_what_it_was(harness, completion_id):
    """However often the end of the plan is seen to."""
    plan = await harness.submit((completion_id, {"k": "v"}), kind=Kind.PLAN)
    await harness.turn(plan)
    for _ in range(2):
        await retire(harness.ledger, await harness.job(plan))

    assert (await harness.ledger.plans.read(plan)).changes == {ValueChange("k", None, "v"): 1}
