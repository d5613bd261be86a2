"""What the user changes while a job runs: in effect on all workers at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from ratelimit.limits import limit_key
from tests.harness.cluster import KEY, Cluster, StopWatch
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

IN_EFFECT_S = 2.0
"""Promised: 1 s. The rest is noise."""
SENT_IN_2_S = 2 * 100 + 10
"""Requests that 100 a second and the burst allow in the time within which all workers must have stopped."""


@pytest.mark.promise  # `test_shared_rate.py` sees such a change, made on the command line, in `make test`
async def test_a_change_of_the_rate_is_in_effect_at_once(cluster: Cluster) -> None:
    """Row 37: two workers slow down from 100 requests a second to 20, together."""
    rows = PatchRows(300)
    await cluster.two_workers(rate={"per_minute": 6000})
    began = time.monotonic()
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 80)
    assert cluster.asked <= 100 * (time.monotonic() - began) + 10 + 1

    key = limit_key(cluster.sandbox.base_url, KEY, None, None)
    await cluster.ledger.redis.hset(key, mapping={"rate": 20, "burst": 1})
    await asyncio.sleep(IN_EFFECT_S)
    asked, began = cluster.asked, time.monotonic()
    await asyncio.sleep(3)
    seen, took = cluster.asked - asked, time.monotonic() - began

    assert 0.3 * 20 * took < seen < 20 * took + 20  # a second's worth that was late on its way
    await cluster.ledger.redis.hdel(key, "rate", "burst")
    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


async def test_pause_and_resume_are_in_effect_at_once(cluster: Cluster) -> None:
    """Row 37: two workers put the job down, and take it up again where they left it."""
    rows = PatchRows(300)
    await cluster.two_workers(rate={"per_minute": 6000})
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 80)

    watch = StopWatch(cluster)
    await cluster.ledger.jobs.pause(job_id, by="test", code="user", reason="paused by a test")
    await wait_until(lambda: watch.quiet_for(2), within=60, what="nothing more is sent")
    assert watch.asked <= SENT_IN_2_S
    asked = cluster.asked
    paused = await cluster.job(job_id)
    assert paused is not None
    assert paused.counts.pending > 0

    await cluster.ledger.jobs.resume(job_id, by="test")
    # the workers look at all jobs every 2 s; messages that were lost would be noticed after 30 s only
    await wait_until(lambda: cluster.asked > asked, within=2 + 15, what="the workers are at it again")

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    # rows that were read and found no slot for their write are read again
    assert cluster.asked <= rows.least_requests + 4 * 16
