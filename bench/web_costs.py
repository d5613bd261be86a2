"""What each endpoint and page of `relabel serve` costs, in a small ledger and in a large one: CPU, commands, bytes.

The large one has 10,000 jobs, one of them of 10 million rows, a night of 500 files and values of 512 characters.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
from redis.asyncio import Redis

from bench.large_ledger import NIGHT, Seed
from bench.table import print_head, print_row
from bench.web_server import OTHERS, Server, Used, pin, signed_in, started
from embedded.server import embedded_server
from ledger.connect import open_ledger
from ledger.ledger import Ledger

JOBS, ROWS, FILES, VALUE_CHARS = 10_000, 10_000_000, 500, 512
SMALL_ROWS, BASE_ROWS = 1000, 200_000
REPEATS = 20


class Places(NamedTuple):
    """A job with so many rows, one of long values, one in the midst of the list, and a completion."""

    job: str
    wide: str
    midst: str
    completion: str
    rows: int


class Cost(NamedTuple):
    """Of a request: milliseconds of CPU of server and Redis, commands of Redis, bytes, the longest time in ms."""

    server_ms: float
    redis_ms: float
    commands: float
    size: int
    longest_ms: float


ENDPOINTS: dict[str, Callable[[Places], str]] = {
    "/livez": lambda _: "/livez",
    "GET job": lambda at: f"/v1/jobs/{at.job}",
    "GET jobs": lambda _: "/v1/jobs?limit=20",
    "GET jobs, from the midst": lambda at: f"/v1/jobs?limit=20&after={at.midst}",
    "GET jobs?state=paused": lambda _: "/v1/jobs?state=paused",
    "GET jobs?name=nothing": lambda _: "/v1/jobs?name=no-job-has-this-name",
    "GET rows": lambda at: f"/v1/jobs/{at.job}/rows",
    "GET rows, at the end": lambda at: f"/v1/jobs/{at.job}/rows?after=r{at.rows - 30}",
    "GET rows?outcome=failed, from the midst": lambda at: (
        f"/v1/jobs/{at.job}/rows?outcome=failed&after=r{at.rows // 2}"
    ),
    "GET rows?outcome=cancelled, of which there are none": lambda at: f"/v1/jobs/{at.job}/rows?outcome=cancelled",
    "GET rows?limit=1000": lambda at: f"/v1/jobs/{at.job}/rows?limit=1000",
    "GET rows of long values": lambda at: f"/v1/jobs/{at.wide}/rows?limit=100",
    "GET log": lambda at: f"/v1/jobs/{at.job}/log",
    "GET history": lambda at: f"/v1/completions/{at.completion}/history",
    "GET history, unknown": lambda _: "/v1/completions/chatcmpl-unknown/history",
    "GET nightly runs": lambda _: "/v1/nightly/runs",
    "GET health": lambda _: "/v1/health",
    "page Home": lambda _: "/",
    "page Jobs": lambda _: "/jobs",
    "page of a job": lambda at: f"/jobs/{at.job}",
    "page of a job, failed rows": lambda at: f"/jobs/{at.job}?outcome=failed",
    "page of a job of long values": lambda at: f"/jobs/{at.wide}",
    "page of a completion": lambda at: f"/completions?id={at.completion}",
    "page Nightly": lambda _: "/nightly",
    "page of a night": lambda _: f"/nightly/{NIGHT}",
    "page Workers": lambda _: "/workers",
}


def main(options: argparse.Namespace) -> None:
    repeats = options.repeats or REPEATS
    small = _measured(_small, repeats)
    large = _measured(_large, repeats)
    print(f"Means of {repeats} requests, one after another; load {os.getloadavg()[0]:.1f}. Small: 3 jobs;")
    print(f"large: {JOBS:,} jobs, {ROWS:,} rows in one, {FILES} files, values of {VALUE_CHARS} characters\n")
    print_head(
        "", "server CPU ms, small", "large", "Redis CPU ms", "large", "commands", "large", "KB", "large", "longest ms"
    )
    for name in ENDPOINTS:
        few, many = small[name], large[name]
        pairs = zip(few[:3], many[:3], strict=True)
        sizes = f"{few.size / 1e3:.0f}", f"{many.size / 1e3:.0f}"
        print_row(name, *(f"{each:.1f}" for pair in pairs for each in pair), *sizes, f"{many.longest_ms:.0f}")


def _measured(fill: Callable[[Redis, Path], Awaitable[Places]], repeats: int) -> dict[str, Cost]:
    with tempfile.TemporaryDirectory(prefix="rlb-") as temporary, embedded_server(Path(temporary) / "state") as server:

        async def measure() -> dict[str, Cost]:
            async with open_ledger(server.ledger_url) as redis:
                began = time.perf_counter()
                places = await fill(redis, Path(temporary))
                print(
                    f"A ledger of {await redis.dbsize():,} keys after {time.perf_counter() - began:.0f} s", flush=True
                )
                with started(server, Path(temporary)) as (url, process):
                    here = Server(url, process, redis)
                    pin(os.getpid(), OTHERS)
                    async with signed_in(here, Ledger(redis)) as (client, token):
                        return {
                            name: await _cost(here, client, token, path(places), repeats)
                            for name, path in ENDPOINTS.items()
                        }

        return asyncio.run(measure())


async def _small(redis: Redis, folder: Path) -> Places:
    seed = Seed(redis, folder)
    await seed.begin()
    job, completions = await seed.job(SMALL_ROWS)
    wide, _ = await seed.job(SMALL_ROWS, value="x" * VALUE_CHARS)
    other, _ = await seed.job(SMALL_ROWS)
    await seed.night([other.job_id])
    return Places(job.job_id, wide.job_id, other.job_id, completions[3], SMALL_ROWS)


async def _large(redis: Redis, folder: Path) -> Places:
    seed = Seed(redis, folder)
    await seed.begin()
    base, _ = await seed.job(BASE_ROWS)
    job = await seed.enlarge(base, ROWS // BASE_ROWS)
    wide, _ = await seed.job(SMALL_ROWS, value="x" * VALUE_CHARS)
    _, completions = await seed.job(SMALL_ROWS)
    copied, _ = await seed.job(20)
    others = await seed.copies(copied, JOBS - 4)
    await seed.night(list(itertools.islice(others, FILES)))
    return Places(job.job_id, wide.job_id, others[len(others) // 2], completions[3], ROWS)


async def _cost(server: Server, client: aiohttp.ClientSession, token: dict[str, str], path: str, repeats: int) -> Cost:
    """Ask again and again; the first answer does not count."""
    headers = token if path.startswith("/v1") else {}
    used, longest, size = Used(0, 0, 0), 0.0, 0
    for number in range(repeats + 1):
        if number == 1:
            used, longest = await server.used(), 0.0
        began = time.perf_counter()
        async with client.get(path, headers=headers) as answer:
            size = len(await answer.read())
            assert answer.status == 200, (path, answer.status)
        longest = max(longest, time.perf_counter() - began)
    cost = (await server.used()).since(used)
    return Cost(
        cost.server_s / repeats * 1e3, cost.redis_s / repeats * 1e3, cost.commands / repeats, size, longest * 1e3
    )
