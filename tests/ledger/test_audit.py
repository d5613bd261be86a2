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
        ("bob@b", "resume", ""),
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
