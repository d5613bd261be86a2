"""A change of a job and the entry in its audit log are one step: there is never one without the other."""

from __future__ import annotations

import pytest

from ledger.codec import Detail
from ledger.job import JobState, Traffic
from ledger.job_spec import Kind
from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.settlements import Settlement


async def entries(harness, job_id):
    """Who did what, and why."""
    return [(line.who, line.verb, line.why) for line in await harness.ledger.audit.read(job_id)]


async def test_each_change_names_who_made_it_at_the_servers_time(harness):
    """One that changes nothing leaves no entry."""
    spec = await harness.submit()
    jobs, job_id = harness.ledger.jobs, spec.job_id
    before = await jobs.now()

    await jobs.pause(job_id, by="ada@a", code="paused", reason="by ada@a", why="wrong column")
    await jobs.pause(job_id, by="bob@b", code="paused", reason="by bob@b")
    await jobs.resume(job_id, by="bob@b")
    await jobs.resume(job_id, by="bob@b")
    await jobs.pause(job_id, by="host:12", code="insufficient_quota", reason="no credit")
    await jobs.set_rate(job_id, 30.0, by="ada@a", why="30/min")
    await jobs.cancel(job_id, by="ada@a", reason="given up")
    await jobs.cancel(job_id, by="bob@b")

    assert await entries(harness, job_id) == [
        ("ada@a", "pause", "wrong column"),
        ("bob@b", "resume", "was paused, paused: by ada@a; rows: open 6"),
        ("host:12", "pause", "no credit"),
        ("ada@a", "rate", "30/min"),
        ("ada@a", "cancel", "given up"),
    ]
    lines = await harness.ledger.audit.read(job_id)
    assert [before <= line.at <= await jobs.now() for line in lines] == [True] * 5
    life = await harness.redis.pttl(JobKeys(job_id).job)
    assert 0 < await harness.redis.pttl(JobKeys(job_id).audit) <= life


async def test_a_pause_after_the_first_failures_names_the_worker_that_settled_them(harness):
    """`settle.lua` pauses by itself, so it writes the entry, too."""
    spec = await harness.submit(100, 100)
    shard = await harness.lease(spec, 0, "host:12:beef")

    failed = [Settlement(row, Outcome.FAILED, Detail("not_found", 404, "no", "", 1, 0.0)) for row in range(100)]
    await harness.ledger.settlements.settle(shard, failed, Traffic())

    assert await harness.state(spec) is JobState.PAUSED
    assert await entries(harness, spec.job_id) == [("host:12", "pause", "the first 100 rows all failed with not_found")]


@pytest.mark.parametrize("remark", ["", "forced"])
async def test_a_job_made_of_another_one_is_noted_in_both_logs_as_it_opens(harness, remark):
    """Neither is there before."""
    parent = await harness.submit()
    spec = harness.spec(kind=Kind.UNDO, parent=parent.job_id)
    await harness.store(spec)
    assert await entries(harness, parent.job_id) == await entries(harness, spec.job_id) == []

    await harness.ledger.job_store.open(spec.job_id, by="ada@a", remark=remark)

    rest = f", {remark}" if remark else ""
    assert await entries(harness, spec.job_id) == [("ada@a", "undo", f"of job {parent.job_id}{rest}")]
    assert await entries(harness, parent.job_id) == [("ada@a", "undo", f"as job {spec.job_id}{rest}")]


async def test_a_name_with_quotes_and_controls_is_kept_as_text(harness):
    """The script puts the time in front of what was encoded."""
    spec = await harness.submit()

    await harness.ledger.jobs.cancel(spec.job_id, by='o"b@h', reason='because "}\\ größer')

    assert await entries(harness, spec.job_id) == [('o"b@h', "cancel", 'because "}\\ größer')]


async def test_the_end_of_a_job_is_logged_with_the_worker_and_the_rows(harness):
    """By the script that ends it, once."""
    spec = await harness.submit(2, 2, rejected=1)
    shard = await harness.lease(spec, 0, "host:12:beef")
    ended = [Settlement(0, Outcome.UPDATED), Settlement(1, Outcome.FAILED, Detail("c", 400, "", "", 1, 0.0))]
    await harness.ledger.settlements.settle(shard, ended, Traffic())
    await harness.shards.release(shard)
    await harness.shards.release(shard)
    await harness.ledger.jobs.retire(spec.job_id)

    assert await entries(harness, spec.job_id) == [("host:12", "finished", "updated 1, failed 1, rejected 1")]


async def test_a_job_without_a_row_to_send_is_submitted_and_finished(harness):
    """In this order."""
    spec = harness.spec(rows=0, rejected=2)
    await harness.store(spec)

    await harness.ledger.job_store.open(spec.job_id, by="ada@a")

    assert await entries(harness, spec.job_id) == [("ada@a", "submit", "test"), ("ada@a", "finished", "rejected 2")]


async def test_a_parked_shard_and_the_end_that_comes_with_it_name_who_parked_it(harness):
    """Its rows failed without anybody's doing."""
    spec = await harness.submit(4, 2)
    detail = Detail("worker_crash", 0, "", "", 0, 0.0)

    for number in range(2):
        await harness.shards.close(spec, number, Outcome.FAILED, detail, by="celery@a")

    assert await entries(harness, spec.job_id) == [
        ("celery@a", "park", "shard 0, of which 2 rows failed"),
        ("celery@a", "park", "shard 1, of which 2 rows failed"),
        ("celery@a", "finished", "failed 4"),
    ]


async def test_a_job_that_is_resumed_with_nothing_left_is_finished_by_that(harness):
    """Its first rows all failed, and there were no others."""
    spec = await harness.submit(20, 20)
    shard = await harness.lease(spec, 0, "host:12:beef")
    failed = [Settlement(row, Outcome.FAILED, Detail("not_found", 404, "no", "", 1, 0.0)) for row in range(20)]
    await harness.ledger.settlements.settle(shard, failed, Traffic())
    await harness.shards.release(shard)

    await harness.ledger.jobs.resume(spec.job_id, by="ada@a")

    reason = "the first 20 rows all failed with not_found"
    assert await entries(harness, spec.job_id) == [
        ("host:12", "pause", reason),
        ("ada@a", "resume", f"was paused, same_failure: {reason}; rows: failed 20"),
        ("ada@a", "finished", "failed 20"),
    ]


async def test_a_loss_is_logged_once_where_something_of_the_job_is_left(harness):
    """Its rows are gone, its record is there."""
    spec = await harness.submit()
    await harness.redis.delete(JobKeys(spec.job_id).outcomes)

    await harness.ledger.jobs.retire(spec.job_id)
    await harness.ledger.jobs.retire(spec.job_id)

    assert await entries(harness, spec.job_id) == [("ledger", "lost", "Redis lost some or all of the job")]


async def test_a_log_is_bounded(harness):
    """A rate that falls and rises for days writes no endless log; the latest entries stay."""
    spec = await harness.submit()
    for number in range(1003):
        await harness.ledger.audit.note(spec.job_id, who="w", verb="rate", why=str(number))

    lines = await harness.ledger.audit.read(spec.job_id)
    assert (len(lines), lines[0].why, lines[-1].why) == (1000, "3", "1002")
