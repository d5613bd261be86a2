"""Workers of one release beside what another release left or runs: nothing is done, and it is said why."""

from __future__ import annotations

import asyncio

from ledger.identity import SCHEMA
from ledger.keys import TOTALS, WORKERS
from ledger.workers import Aside
from tests.harness.cluster import Cluster
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until


async def test_a_worker_that_finds_a_newer_ledger_ends_with_a_sentence(cluster: Cluster) -> None:
    await cluster.ledger.identity.establish()
    await cluster.ledger.redis.hset(TOTALS, "ledger:schema", SCHEMA + 1)

    worker = cluster.start_worker()

    await wait_until(lambda: worker.exit_code() is not None, within=120, what="the worker has ended")
    assert worker.exit_code() == 2
    assert f"schema {SCHEMA + 1}" in worker.said()
    assert "Traceback" not in worker.said()


async def test_a_worker_beside_one_of_release_one_takes_no_shard(cluster: Cluster) -> None:
    """It says so in its log and its heartbeat."""

    async def beat() -> None:
        while True:
            await cluster.ledger.redis.zadd(WORKERS, {"old@there|2": await cluster.ledger.jobs.now()})
            await asyncio.sleep(1)

    beating = asyncio.create_task(beat())
    try:
        job_id = await cluster.start_job(PatchRows(40))
        worker = await cluster.worker()

        async def aside() -> bool:
            facts = [worker.facts for worker in await cluster.ledger.workers.living()]
            return any(each is not None and each.aside is Aside.RELEASE_ONE for each in facts)

        await wait_until(aside, within=60, what="the worker stands aside")
        await wait_until(lambda: "release one" in worker.said(), within=60, what="the worker says so")
        assert "old@there" in worker.said()
        job = await cluster.job(job_id)
        assert job is not None
        assert (job.counts.pending, cluster.asked) == (40, 0)
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
