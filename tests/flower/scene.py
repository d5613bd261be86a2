"""What Flower is to show: a job with values that can be told from anything else, carried out by a real worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from ledger.row import Metadata
from tests.flower.flower_process import FlowerProcess
from tests.harness.cluster import KEY, Cluster
from tests.harness.link import Link
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

USER, PASSWORD = "ops", "canary.flower.word"
BROKER_PASSWORD = "canary.broker.word"
VALUE, KEPT = "canary value 63aa", "canary before 0f1c"
SHARDS, SHARD_ROWS = 8, 30


class Scene(NamedTuple):
    """The parts, and the job that is under way."""

    cluster: Cluster
    url: str
    worker: str
    job_id: str
    rows: PatchRows
    flower: FlowerProcess

    @property
    def secrets(self) -> Iterable[str]:
        """What nobody may find on any page."""
        return [KEY, PASSWORD, BROKER_PASSWORD, VALUE, KEPT, *self.rows.ids]

    async def tasks(self, client: httpx.AsyncClient, *states: str, least: int) -> dict[str, dict[str, Any]]:
        """Wait until Flower knows so many tasks of the job in these states, by id; events come in no certain order."""

        async def known() -> dict[str, dict[str, Any]]:
            tasks: dict[str, dict[str, Any]] = (await client.get("/api/tasks")).json()
            found = {task_id: task for task_id, task in tasks.items() if task["state"] in states and task["args"]}
            return found if len(found) >= least else {}

        return await wait_until(known, within=60, what=f"{least} tasks are {states}", every=0.2)


@asynccontextmanager
async def open_scene(folder: Path, keep_logs: Path) -> AsyncIterator[Scene]:
    """Start everything, with a password on the way to the broker, and begin a job that takes a few seconds."""
    async with Cluster(folder, keep_logs=keep_logs, latency_s=0.1) as cluster, Link(cluster.redis.socket) as link:
        cluster.redis.admin.execute_command("ACL", "SETUSER", USER, "on", f">{BROKER_PASSWORD}", "~*", "&*", "+@all")
        login = f"{USER}:{BROKER_PASSWORD}@"
        worker = cluster.start_worker(
            redis_url=f"unix://{login}{cluster.redis.socket}?db=0",
            options=("--without-mingle",),
            rate={"per_minute": 6000},
        )
        flower = FlowerProcess(
            folder,
            RELABEL_REDIS__URL=f"redis://{login}127.0.0.1:{link.port}/0",
            RELABEL_FLOWER__BASIC_AUTH=f"{USER}:{PASSWORD}",
        )
        try:
            await worker.ready()
            url = await flower.url()
            rows = _rows()
            job_id = await cluster.start_job(rows, shard_rows=SHARD_ROWS)
            name = f"{worker.name}@{_hostname(worker.said())}"
            yield Scene(cluster, url, name, job_id, rows, flower)
        finally:
            # beside this loop, through which its connections go
            assert await asyncio.to_thread(flower.end) == 0


def _rows() -> PatchRows:
    rows = PatchRows(SHARDS * SHARD_ROWS)
    for completion_id, patch in rows.patches.items():
        patch["note"] = VALUE
        before: Metadata = rows.before[completion_id]
        before["kept"] = KEPT
    return rows


def _hostname(said: str) -> str:
    return said.partition("w0@")[2].split()[0]
