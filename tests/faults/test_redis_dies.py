"""The ledger's server dies, empties, fills up, turns read-only or falls silent: workers wait, and send nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

import pytest

from ledger.connect import open_ledger, persistence_warnings
from ledger.errors import LedgerUnreachable
from ledger.job import JobState
from ledger.keys import JobKeys
from tests.harness.cluster import ALONE, Cluster, StopWatch
from tests.harness.link import Link
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

PROMISE = pytest.mark.promise
SLOW = pytest.mark.slow

SLOWLY = {"per_minute": 6000}
UNACKED = "relabel:celery:unacked"
LAST_SLOTS = 25 + 10
"""Requests that slots leased before allow: a quarter of a second's worth, and the burst."""


async def nothing_is_sent(cluster: Cluster, watch: StopWatch) -> None:
    """Wait until the slots leased before are used up, and check that there were no more."""
    await wait_until(lambda: watch.quiet_for(1.5), within=60, what="the last slots are used up")
    assert watch.asked <= LAST_SLOTS


@pytest.mark.parametrize(
    "away_s",
    [
        2,
        pytest.param(15, marks=PROMISE),
        pytest.param(40, marks=SLOW),
        pytest.param(300, marks=SLOW),
    ],
)
async def test_nothing_is_sent_or_lost_while_redis_is_away(cluster: Cluster, away_s: float) -> None:
    """Row 6: SIGKILL and restart with its append-only file, while the workers live on."""
    rows = PatchRows(300)
    workers = await cluster.two_workers(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    cluster.redis.kill()
    watch = StopWatch(cluster)
    await nothing_is_sent(cluster, watch)
    asked = cluster.asked
    await asyncio.sleep(away_s)
    assert cluster.asked == asked
    cluster.redis.start()

    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    # no request twice but reads that were too old to write by, at most one for each row in hand
    assert cluster.asked <= rows.least_requests + 2 * 2 * 16
    assert [worker.exit_code() for worker in workers] == [None, None]


@pytest.mark.parametrize(
    ("restarts", "options"),
    [
        (1, ALONE),
        pytest.param(3, ALONE, marks=PROMISE),
        pytest.param(25, ("--without-gossip",), marks=SLOW),
    ],
)
async def test_workers_live_through_restarts_of_redis(cluster: Cluster, restarts: int, options: Sequence[str]) -> None:
    """Row 6: each worker has a message in hand and polls for another, whose answer fails; both are then dealt with."""
    rows = PatchRows(150 * (restarts + 1))
    workers = await cluster.two_workers(rate=SLOWLY, options=options)
    job_id = await cluster.start_job(rows, shard_rows=len(rows.ids) // 2)
    settled = 20
    for _ in range(restarts):
        await cluster.settled(job_id, settled)
        cluster.redis.kill()
        cluster.redis.start()
        await cluster.reconnect()
        job = await wait_until(lambda: cluster.job(job_id), within=60, what="Redis is back")
        settled = job.counts.settled + 30

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    # acknowledged by the channels of connections that are gone: this is where workers ended, too
    await wait_until(lambda: not cluster.redis.admin.exists(UNACKED), within=60, what="all is acknowledged")
    assert [worker.exit_code() for worker in workers] == [None, None]
    assert ["Unrecoverable" in worker.said() for worker in workers] == [False, False]


async def test_a_job_that_redis_forgot_is_never_finished(cluster: Cluster) -> None:
    """Row 7: back without its data; the worker shows it as lost, and the same rows can be submitted again."""
    rows = PatchRows(300)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    cluster.redis.kill()
    cluster.redis.forget()
    cluster.redis.start()
    await cluster.reconnect()

    lost = await cluster.in_state(job_id, JobState.LOST, within=60)
    asked = cluster.asked
    assert "w0@" in (lost.reason or "")
    assert lost.counts.total == 300
    submitted = await cluster.submit(rows, load=False)
    assert not submitted.existed
    assert submitted.job_id != job_id
    await cluster.finished(submitted.job_id, within=60)
    assert cluster.asked > asked
    assert cluster.sandbox.store.dump() == {completion_id: rows.after(completion_id) for completion_id in rows.ids}
    keys = JobKeys(job_id)
    left = {key.decode() for key in await cluster.ledger.redis.keys(f"*{job_id}*")}
    assert left == {keys.tombstone, keys.audit}, "what a late worker writes is not taken for the job"
    identity = await cluster.ledger.identity.read()
    assert identity is not None
    assert identity.reset is not None
    assert len([line for line in worker.said().splitlines() if "the ledger came back empty" in line]) == 1


@pytest.mark.promise
async def test_a_job_that_redis_forgot_in_part_is_state_lost(cluster: Cluster) -> None:
    """Row 7: a torn job, as after an eviction, is told from one that has finished."""
    rows = PatchRows(300)
    await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    await cluster.ledger.redis.delete(f"relabel:{{{job_id}}}:outcomes")

    await cluster.in_state(job_id, JobState.LOST)
    watch = StopWatch(cluster)
    await wait_until(lambda: watch.quiet_for(2.0), within=60, what="nothing more is sent")
    await cluster.in_state(job_id, JobState.LOST)


@pytest.mark.parametrize("fault", ["full", pytest.param("read-only", marks=PROMISE)])
async def test_workers_wait_for_a_redis_that_takes_no_writes(cluster: Cluster, fault: str) -> None:
    """Rows 8 and 9: `maxmemory` is hit, or a failover leaves a replica; workers wait, live on, and end exact."""
    rows = PatchRows(250)
    workers = await cluster.two_workers(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    cluster.redis.fill() if fault == "full" else cluster.redis.make_read_only()
    watch = StopWatch(cluster)
    await nothing_is_sent(cluster, watch)
    asked = cluster.asked
    await asyncio.sleep(3)
    assert cluster.asked == asked
    cluster.redis.make_room() if fault == "full" else cluster.redis.make_writable()

    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    assert [worker.exit_code() for worker in workers] == [None, None]


@pytest.mark.parametrize(("fault", "says"), [("full", "out of memory"), ("read-only", "read-only replica")])
async def test_a_producer_is_told_that_redis_takes_no_writes(cluster: Cluster, fault: str, says: str) -> None:
    """Rows 8 and 9: submit ends with one sentence; once there is room, the same rows are submitted."""
    rows = PatchRows(300)
    cluster.redis.fill() if fault == "full" else cluster.redis.make_read_only()

    with pytest.raises(LedgerUnreachable, match=says):
        async with open_ledger(cluster.redis.url):
            await cluster.submit(rows)

    cluster.redis.make_room() if fault == "full" else cluster.redis.make_writable()
    assert not (await cluster.submit(rows)).existed


async def test_a_redis_that_may_lose_jobs_is_warned_about(cluster: Cluster) -> None:
    """Row 10: eviction on, nothing written to disk, or not at once."""
    assert await persistence_warnings(cluster.ledger.redis) == []

    cluster.redis.admin.config_set("appendfsync", "everysec")
    (late,) = await persistence_warnings(cluster.ledger.redis)
    assert "appendfsync everysec" in late

    cluster.redis.admin.config_set("maxmemory-policy", "allkeys-lru")
    cluster.redis.admin.config_set("appendonly", "no")

    eviction, forgetting = await persistence_warnings(cluster.ledger.redis)
    assert "set it to noeviction" in eviction
    assert "set appendonly yes" in forgetting


@pytest.mark.promise
async def test_a_worker_gets_over_a_link_that_fell_silent(cluster: Cluster) -> None:
    """Row 11: connections to Redis that pass nothing more and do not end; the worker is at work again within 60 s."""
    rows = PatchRows(250)
    async with Link(cluster.redis.socket) as link:
        worker = await cluster.worker(redis_url=f"redis://127.0.0.1:{link.port}/0", rate=SLOWLY, options=())
        job_id = await cluster.start_job(rows)
        await cluster.settled(job_id, 50)

        assert link.go_silent() >= 3
        await cluster.finished(job_id, within=60)

        await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
        assert worker.exit_code() is None


@pytest.mark.promise
async def test_a_worker_can_be_ended_while_redis_is_away(cluster: Cluster) -> None:
    """Rows 4 and 6: SIGTERM while nothing can be handed back; the leases run out instead."""
    rows = PatchRows(300)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    cluster.redis.kill()
    await wait_until(lambda: "Nothing is sent meanwhile" in worker.said(), within=60, what="the worker waits for Redis")
    worker.send(signal.SIGTERM)

    # promised: 10 s; the rest is for a machine that has other work to do
    await wait_until(lambda: worker.exit_code() is not None, within=10 + 15, what="the worker has ended")
    assert worker.exit_code() == 0
    cluster.redis.start()
    await cluster.worker()
    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


async def test_no_request_is_sent_without_the_limiter(cluster: Cluster) -> None:
    """Row 38: Redis takes commands and answers none; the limiter gives no slots until it does."""
    rows = PatchRows(250)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    cluster.redis.freeze()
    watch = StopWatch(cluster)
    await nothing_is_sent(cluster, watch)
    asked = cluster.asked
    await asyncio.sleep(7)
    assert cluster.asked == asked
    cluster.redis.thaw()

    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    assert worker.exit_code() is None
