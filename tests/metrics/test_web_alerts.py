"""The alerts of `relabel serve` fire when their faults are really made. A minute of a rule is a second here."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from config.web import Scope
from ledger.tokens import TokenRequest
from tests.harness.cluster import Cluster
from tests.harness.free_port import free_port
from tests.metrics.watch import Watch
from tests.web.conftest import Served, end_server, start_server

SLOW_MS = 1500

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("prometheus"), reason="prometheus is not installed (Debian's package of that name)"
    ),
]


@pytest.fixture
async def cluster(state_dir: Path, tmp_path: Path) -> AsyncIterator[Cluster]:
    """All parts, and no worker."""
    async with Cluster(state_dir, keep_logs=tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def served(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Served]:
    """A server over its Redis."""
    settings = {"RELABEL_REDIS__URL": cluster.redis.url, "RELABEL_METRICS__WEB_PORT": str(free_port())}
    served = await asyncio.to_thread(start_server, tmp_path, **settings)
    yield served
    await asyncio.to_thread(end_server, served)


@pytest.fixture
async def client(cluster: Cluster, served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who reads."""
    request = TokenRequest(name="t", owner="ada", scopes=[Scope.READ], created_by="tests")
    token, _ = await cluster.ledger.tokens.create(request, life_s=3600)
    options = {"headers": {"Authorization": f"Bearer {token}"}, "timeout": 60, "trust_env": False}
    async with httpx.AsyncClient(base_url=served.url, **options) as client:
        yield client


async def ask_until(done: asyncio.Task, client: httpx.AsyncClient, *, path: str = "/v1/jobs") -> None:
    """Read the list of jobs again and again, ten at a time."""
    while not done.done():
        await asyncio.gather(*(client.get(path) for _ in range(10)))


async def test_redis_that_is_away_and_a_server_that_has_ended(cluster, served, client, tmp_path):
    """The server answers 503 and says so; ended, nobody scrapes it."""
    with Watch(cluster, tmp_path).open(web_port=served.web_port) as watch:
        assert (await client.get("/v1/jobs")).status_code == 200
        cluster.redis.kill()
        fired = asyncio.create_task(watch.fires("RelabelWebFailing"))
        await ask_until(fired, client)
        await fired
        await asyncio.to_thread(end_server, served)
        await watch.fires("RelabelWebMissing")
        cluster.redis.start()


async def test_redis_that_takes_its_time(cluster, served, client, tmp_path):
    """Reads wait for it."""
    with Watch(cluster, tmp_path).open(web_port=served.web_port) as watch:
        fired = asyncio.create_task(watch.fires("RelabelWebSlow"))
        while not fired.done():
            cluster.redis.admin.client_pause(SLOW_MS, all=True)
            assert (await client.get("/v1/jobs")).status_code == 200
        await fired
