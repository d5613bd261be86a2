"""`relabel serve` on one core, over a private Redis: what it and Redis use, and how it is asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psutil
from redis.asyncio import Redis

from bench.command import wait_until
from config.web import Scope
from embedded.server import EmbeddedServer
from ledger.ledger import Ledger
from ledger.tokens import TokenRequest

CORE, OTHERS = 0, 1
"""The server's core, and that of Redis and of the clients."""


class Used(NamedTuple):
    """CPU in seconds of the server and of Redis, and the commands that Redis carried out."""

    server_s: float
    redis_s: float
    commands: int

    def since(self, before: Used) -> Used:
        return Used(*(now - then for now, then in zip(self, before, strict=True)))


class Server(NamedTuple):
    """A running server."""

    url: str
    process: psutil.Process
    redis: Redis

    async def used(self) -> Used:
        times, cpu = self.process.cpu_times(), await self.redis.info("cpu")
        stats = await self.redis.info("commandstats")
        calls = sum(each["calls"] for name, each in stats.items() if name not in {"cmdstat_info", "cmdstat_evalsha"})
        redis_s = float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"])
        return Used(times.user + times.system, redis_s, calls)

    @property
    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / (1 << 20)


@contextmanager
def started(server: EmbeddedServer, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run it on a core of its own, where the machine has two, while the block runs; yields address and process."""
    settings = {"RELABEL_REDIS__URL": server.ledger_url, "RELABEL_RATE__NAME": "bench", "RELABEL_LOG_LEVEL": "ERROR"}
    environment = os.environ | settings | {"RELABEL_WEB__REQUESTS_PER_MINUTE": "1000000", "TMPDIR": str(folder)}
    log = folder / "serve.log"
    command = [sys.executable, "-W", "ignore", "-m", "cli.main", "serve", "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        wait_until(lambda: process.poll() is not None or "relabel on" in log.read_text())
        found = re.search(r"relabel on (http://\S+)", log.read_text())
        assert found, log.read_text()
        pin(process.pid, CORE)
        yield found[1], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def pin(pid: int, core: int) -> None:
    """Keep a process with all its threads on a core, where the machine has that many."""
    if (os.cpu_count() or 1) > core:
        for thread in psutil.Process(pid).threads():
            os.sched_setaffinity(thread.id, {core})


@asynccontextmanager
async def signed_in(server: Server, ledger: Ledger) -> AsyncIterator[tuple[aiohttp.ClientSession, dict[str, str]]]:
    """Yield a client that is signed in to the console, and the header of a token for the API."""
    request = TokenRequest(name=f"bench-{time.time():.3f}", owner="ada", scopes=list(Scope), created_by="bench")
    token, _ = await ledger.tokens.create(request, life_s=3600)
    options: dict[str, Any] = {"connector": aiohttp.TCPConnector(limit=0), "cookie_jar": aiohttp.CookieJar(unsafe=True)}
    async with aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(total=None), **options) as client:
        origin = {"Origin": server.url}
        async with client.post("/sign-in", data={"token": token}, headers=origin, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
        yield client, {"Authorization": f"Bearer {token}"}
