"""A change of a job and the entry in its audit log are one step: there is never one without the other."""

from __future__ import annotations

import pytest

from ledger.codec import Detail
from ledger.job import JobState, Kind, Traffic
from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.settlements import Settlement


async def entries(desk, job_id):
    """Who did what, and why."""
    return [(line.who, line.verb, line.why) for line in await desk.ledger.audit.read(job_id)]


async def test_each_change_names_who_made_it_at_the_servers_time(desk):
    """One that changes nothing leaves no entry."""
    spec = await desk.submit()
    jobs, job_id = desk.ledger.jobs, spec.job_id
    before = await jobs.now()

    await jobs.pause(job_id, by="ada@a", code="paused", reason="by ada@a", why="wrong column")
    await jobs.pause(job_id, by="bob@b", code="paused", reason="by bob@b")
    await jobs.resume(job_id, by="bob@b")
    await jobs.resume(job_id, by="bob@b")
    await jobs.pause(job_id, by="host:12", code="insufficient_quota", reason="no credit")
    await jobs.set_rate(job_id, 30.0, by="ada@a", why="30/min")
    await jobs.cancel(job_id, by="ada@a", reason="given up")
    await jobs.cancel(job_id, by="bob@b")

    assert await entries(desk, job_id) == [
        ("ada@a", "pause", "wrong column"),
        ("bob@b", "resume", "was paused, paused: by ada@a; rows: open 6"),
        ("host:12", "pause", "no credit"),
        ("ada@a", "rate", "30/min"),
        ("ada@a", "cancel", "given up"),
    ]
    lines = await desk.ledger.audit.read(job_id)
    assert [before <= line.at <= await jobs.now() for line in lines] == [True] * 5
    life = await desk.redis.pttl(JobKeys(job_id).job)
    assert 0 < await desk.redis.pttl(JobKeys(job_id).audit) <= life


async def test_a_pause_after_the_first_failures_names_the_worker_that_settled_them(desk):
    """`settle.lua` pauses by itself, so it writes the entry, too."""
    spec = await desk.submit(100, 100)
    shard = await desk.lease(spec, 0, "host:12:beef")

    failed = [Settlement(row, Outcome.FAILED, Detail("not_found", 404, "no", "", 1, 0.0)) for row in range(100)]
    await desk.ledger.settlements.settle(shard, failed, Traffic())

    assert await desk.state(spec) is JobState.PAUSED
    assert await entries(desk, spec.job_id) == [("host:12", "pause", "the first 100 rows all failed with not_found")]


@pytest.mark.parametrize("remark", ["", "forced"])
async def test_a_job_made_of_another_one_is_noted_in_both_logs_as_it_opens(desk, remark):
    """Neither is there before."""
    parent = await desk.submit()
    spec = desk.spec(kind=Kind.UNDO, parent=parent.job_id)
    await desk.store(spec)
    assert await entries(desk, parent.job_id) == await entries(desk, spec.job_id) == []

    await desk.ledger.jobs.open(spec.job_id, by="ada@a", remark=remark)

    rest = f", {remark}" if remark else ""
    assert await entries(desk, spec.job_id) == [("ada@a", "undo", f"of job {parent.job_id}{rest}")]
    assert await entries(desk, parent.job_id) == [("ada@a", "undo", f"as job {spec.job_id}{rest}")]


async def test_a_name_with_quotes_and_controls_is_kept_as_text(desk):
    """The script puts the time in front of what was encoded."""
    spec = await desk.submit()

    await desk.ledger.jobs.cancel(spec.job_id, by='o"b@h', reason='because "}\\ größer')

    assert await entries(desk, spec.job_id) == [('o"b@h', "cancel", 'because "}\\ größer')]


async def test_the_end_of_a_job_is_logged_with_the_worker_and_the_rows(desk):
    """By the script that ends it, once."""
    spec = await desk.submit(2, 2, rejected=1)
    shard = await desk.lease(spec, 0, "host:12:beef")
    ended = [Settlement(0, Outcome.UPDATED), Settlement(1, Outcome.FAILED, Detail("c", 400, "", "", 1, 0.0))]
    await desk.ledger.settlements.settle(shard, ended, Traffic())
    await desk.shards.release(shard)
    await desk.shards.release(shard)
    await desk.ledger.jobs.retire(spec.job_id)

    assert await entries(desk, spec.job_id) == [("host:12", "finished", "updated 1, failed 1, rejected 1")]


async def test_a_job_without_a_row_to_send_is_submitted_and_finished(desk):
    """In this order."""
    spec = desk.spec(rows=0, rejected=2)
    await desk.store(spec)

    await desk.ledger.jobs.open(spec.job_id, by="ada@a")

    assert await entries(desk, spec.job_id) == [("ada@a", "submit", "test"), ("ada@a", "finished", "rejected 2")]


async def test_a_parked_shard_and_the_end_that_comes_with_it_name_who_parked_it(desk):
    """Its rows failed without anybody's doing."""
    spec = await desk.submit(4, 2)
    detail = Detail("worker_crash", 0, "", "", 0, 0.0)

    for number in range(2):
        await desk.shards.close(spec, number, Outcome.FAILED, detail, by="celery@a")

    assert await entries(desk, spec.job_id) == [
        ("celery@a", "park", "shard 0, of which 2 rows failed"),
        ("celery@a", "park", "shard 1, of which 2 rows failed"),
        ("celery@a", "finished", "failed 4"),
    ]


async def test_a_job_that_is_resumed_with_nothing_left_is_finished_by_that(desk):
    """Its first rows all failed, and there were no others."""
    spec = await desk.submit(20, 20)
    shard = await desk.lease(spec, 0, "host:12:beef")
    failed = [Settlement(row, Outcome.FAILED, Detail("not_found", 404, "no", "", 1, 0.0)) for row in range(20)]
    await desk.ledger.settlements.settle(shard, failed, Traffic())
    await desk.shards.release(shard)

    await desk.ledger.jobs.resume(spec.job_id, by="ada@a")

    reason = "the first 20 rows all failed with not_found"
    assert await entries(desk, spec.job_id) == [
        ("host:12", "pause", reason),
        ("ada@a", "resume", f"was paused, same_failure: {reason}; rows: failed 20"),
        ("ada@a", "finished", "failed 20"),
    ]


async def test_a_loss_is_logged_once_where_something_of_the_job_is_left(desk):
    """Its rows are gone, its record is there."""
    spec = await desk.submit()
    await desk.redis.delete(JobKeys(spec.job_id).outcomes)

    await desk.ledger.jobs.retire(spec.job_id)
    await desk.ledger.jobs.retire(spec.job_id)

    assert await entries(desk, spec.job_id) == [("ledger", "lost", "Redis lost some or all of the job")]


async def test_a_log_is_bounded(desk):
    """A rate that falls and rises for days writes no endless log; the latest entries stay."""
    spec = await desk.submit()
    for number in range(1003):
        await desk.ledger.audit.note(spec.job_id, who="w", verb="rate", why=str(number))

    lines = await desk.ledger.audit.read(spec.job_id)
    assert (len(lines), lines[0].why, lines[-1].why) == (1000, "3", "1002")
