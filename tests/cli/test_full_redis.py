"""A Redis at its memory limit takes no new rows, but who is at the wheel can still brake: pause, cancel, rate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from embedded.binary import find_server_binary
from ledger.codec import BeforeImage
from ledger.connect import open_ledger
from ledger.job import JobState
from ledger.keys import WORKERS, JobKeys
from ledger.ledger import Ledger
from ledger.overview import read_overview
from ledger.row import Outcome
from producer.check import check_rows
from producer.submit import JobRequest, submit
from tasks.celery_app import make_app
from tasks.rescue_thread import RescueThread
from tests.cli.conftest import settle
from tests.harness.cluster import settings_for
from tests.harness.redis_node import NO_TLS_SERVER, RedisNode, tls_server
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from worker.worker_key import Standby

KEY = {"OPENAI_API_KEY": "sk-full"}


@pytest.fixture(params=["valkey", "redis"])
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisNode]:
    """The server that comes along, and Redis 7.0, which refuses transactions at the limit even where they only read."""
    program = find_server_binary("") if request.param == "valkey" else tls_server(tmp_path)
    if program is None:
        pytest.skip(NO_TLS_SERVER)
    with RedisNode(program, tmp_path / "node", options={"save": '""', "maxmemory-policy": "noeviction"}) as node:
        yield node


async def submit_rows(ledger: Ledger, number: int, folder: Path) -> str:
    """Submit a job of so many rows, two a shard, and return its id."""
    rows = PatchRows(number)
    order = JobRequest("test", rows.mode, True, "https://api.openai.com/v1", 2, 3600.0)
    with check_rows(rows, mode=rows.mode, spool_dir=folder) as checked:
        return (await submit(checked, order, ledger=ledger, announce=lambda *_: None)).job_id


async def test_a_job_is_paused_slowed_down_and_cancelled_at_the_memory_limit(
    full: RedisNode, relabel, tmp_path: Path
) -> None:
    """Each verb says what it did, with its line in the job's log; what is not for emergencies says what to do."""
    url = f"redis://127.0.0.1:{full.port}/0"
    async with open_ledger(url) as redis:
        ledger = Ledger(redis)
        job_id = await submit_rows(ledger, 6, tmp_path)
        spec = (await ledger.jobs.get(job_id)).spec
        await settle(ledger, spec, {0: Outcome.UPDATED})
        await ledger.shards.lease(job_id, 1, "dead")
        shard = await ledger.shards.load(job_id, 1, "dead")
        assert shard is not None
        await ledger.settlements.journal(shard, [BeforeImage(0, {"team": "old"})], [])
        await redis.zadd(JobKeys(job_id).leased, {"1": 1})
        await redis.config_set("maxmemory", 1)
        settings = {"RELABEL_REDIS__URL": url} | KEY
        (tmp_path / "rows.csv").write_text("completion_id,team\nchatcmpl-CUL7LH3wC39LYNbTfcOm9Q7Xother1,blue\n")

        assert (await relabel("pause", job_id, **settings)).code == 0
        assert (await relabel("rate", "60/m", **settings)).code == 0
        assert (await relabel("rate", "30/m", "--job", job_id, **settings)).code == 0
        seen = json.loads((await relabel("rate", "--json", **settings)).out)
        cancelled = await relabel("cancel", job_id, "--json", **settings)
        report = (await relabel("report", job_id, "--only", "cancelled", "-o", "-", **settings)).out
        overview = await read_overview(redis)
        refused = await relabel("submit", "rows.csv", **settings)

        assert (seen["live_per_minute"], seen["in_force_per_minute"]) == (60, 60)
        assert cancelled.code == 0, cancelled.err
        facts = json.loads(cancelled.out)
        assert (facts["state"], facts["rows"]["cancelled"], facts["may_have_been_written"]) == ("cancelled", 5, 1)
        assert [line.verb for line in await ledger.audit.read(job_id)] == ["pause", "rate", "rate", "cancel"]
        assert (await ledger.jobs.get(job_id)).rate_per_minute == 30
        assert len(report.splitlines()) == 5
        assert (overview.jobs, overview.ended[JobState.CANCELLED]) == ([], 1), "metrics are read, too"
        assert (refused.code, "out of memory" in refused.err) == (4, True)
        assert await ledger.jobs.active() == []


async def test_workers_are_alive_at_the_memory_limit_and_rescue_nobody(full: RedisNode, tmp_path: Path) -> None:
    """Nobody is sent to start a worker; as no lease can be renewed, none is broken."""
    url = f"redis://127.0.0.1:{full.port}/0"
    async with open_ledger(url) as redis:
        ledger = Ledger(redis)
        job_id = await submit_rows(ledger, 2, tmp_path)
        await ledger.shards.lease(job_id, 0, "slow")
        await redis.zadd(JobKeys(job_id).leased, {"0": 1})
        await redis.config_set("maxmemory", 1)
        settings = settings_for(url, "http://127.0.0.1:9/v1")
        thread = RescueThread(
            make_app(settings), settings, worker="w1@a", children=1, owner=None, standby=Standby("w1@a")
        )
        thread.start()
        try:
            first = await wait_until(lambda: redis.zscore(WORKERS, "w1@a|1"), within=60, what="a heartbeat")
            await wait_until(lambda: _has_beaten_since(redis, first), within=60, what="another heartbeat")
        finally:
            await asyncio.to_thread(thread.stop)

        assert [worker.name for worker in await ledger.workers.living()] == ["w1@a"]
        assert await redis.zcard(JobKeys(job_id).leased) == 1


async def _has_beaten_since(redis: Redis, first: float) -> bool:
    return (await redis.zscore(WORKERS, "w1@a|1") or 0) > first
