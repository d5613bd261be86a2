"""Workers of one release beside what another release left or runs: nothing is done, and it is said why."""

from __future__ import annotations

import asyncio

from ledger.identity import SCHEMA
from ledger.keys import TOTALS, WORKERS
from ledger.workers import Aside
from tests.harness.rows import PatchRows
from tests.harness.stand import Cluster
from tests.harness.wait import wait_until


async def test_a_worker_that_finds_a_newer_ledger_ends_with_a_sentence(stand: Cluster) -> None:
    await stand.ledger.identity.establish()
    await stand.ledger.redis.hset(TOTALS, "ledger:schema", SCHEMA + 1)

    worker = stand.start_worker()

    await wait_until(lambda: worker.exit_code() is not None, within=120, what="the worker has ended")
    assert worker.exit_code() == 2
    assert f"schema {SCHEMA + 1}" in worker.said()
    assert "Traceback" not in worker.said()


async def test_a_worker_beside_one_of_release_one_takes_no_shard(stand: Cluster) -> None:
    """It says so in its log and its heartbeat."""

    async def beat() -> None:
        while True:
            await stand.ledger.redis.zadd(WORKERS, {"old@there|2": await stand.ledger.jobs.now()})
            await asyncio.sleep(1)

    beating = asyncio.create_task(beat())
    try:
        job_id = await stand.start_job(PatchRows(40))
        worker = await stand.worker()

        async def aside() -> bool:
            facts = [worker.facts for worker in await stand.ledger.workers.living()]
            return any(each is not None and each.aside is Aside.RELEASE_ONE for each in facts)

        await wait_until(aside, within=60, what="the worker stands aside")
        await wait_until(lambda: "release one" in worker.said(), within=60, what="the worker says so")
        assert "old@there" in worker.said()
        job = await stand.job(job_id)
        assert job is not None
        assert (job.counts.pending, stand.asked) == (40, 0)
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
