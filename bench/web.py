"""What `relabel serve` takes on one core: 200 streams of events and 50 requests a second over 1,000 jobs of 10 M rows.

Requests come at fixed moments, whether those before were answered or not, and are measured from these moments on. Where
other work shares the machine, only the CPU of a request and ratios count.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench.large_ledger import Large, load_ledger
from bench.table import print_head, print_row
from bench.web_server import OTHERS, Server, Used, pin, signed_in, started
from embedded.server import EmbeddedServer, embedded_server
from ledger.connect import open_ledger
from ledger.ledger import Ledger

STREAMS, PER_SECOND, SECONDS, JOBS, ROWS = 200, 50, 30, 1000, 10_000_000
WARM_UP_S = 3


class Kind(NamedTuple):
    """A kind of request: its share of all in percent, how its path is made, whether it is a page."""

    name: str
    share: int
    path: Callable[[random.Random, Large], str]
    page: bool = False


def _job(chance: random.Random, large: Large) -> str:
    return chance.choice((*large.open, *chance.sample(large.ended, 5), large.largest))


MIX = (
    Kind("GET job", 30, lambda chance, large: f"/v1/jobs/{_job(chance, large)}"),
    Kind("GET jobs", 12, lambda chance, large: f"/v1/jobs?after={chance.choice(large.ended)}"),
    Kind("GET jobs?state=paused", 3, lambda _, __: "/v1/jobs?state=paused"),
    Kind("GET rows", 14, lambda chance, large: f"/v1/jobs/{_job(chance, large)}/rows?after=r{chance.randrange(4000)}"),
    Kind("GET rows?outcome=failed", 6, lambda _, large: f"/v1/jobs/{large.largest}/rows?outcome=failed"),
    Kind("GET history", 10, lambda chance, large: f"/v1/completions/{chance.choice(large.completions)}/history"),
    Kind("GET health", 5, lambda _, __: "/v1/health"),
    Kind("page Jobs", 6, lambda _, __: "/jobs", page=True),
    Kind("page of a job", 10, lambda chance, large: f"/jobs/{_job(chance, large)}", page=True),
    Kind("page Home", 4, lambda _, __: "/", page=True),
)


def main(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="rlb-") as temporary, embedded_server(Path(temporary) / "state") as server:
        asyncio.run(_measure(server, Path(temporary), options))


async def _measure(server: EmbeddedServer, folder: Path, options: argparse.Namespace) -> None:
    async with open_ledger(server.ledger_url) as redis:
        began = time.perf_counter()
        large = await load_ledger(redis, folder, rows=options.rows or ROWS)
        print(f"{JOBS:,} jobs and {options.rows or ROWS:,} rows in Redis after {time.perf_counter() - began:.0f} s\n")
        with started(server, folder) as (url, process):
            here = Server(url, process, redis)
            pin(os.getpid(), OTHERS)
            pin((await redis.info("server"))["process_id"], OTHERS)
            async with signed_in(here, Ledger(redis)) as (client, token):
                await _run(here, client, token, large, options.seconds)


async def _run(
    server: Server, client: aiohttp.ClientSession, token: dict[str, str], large: Large, seconds: int
) -> None:
    idle_mb = server.memory_mb
    async with asyncio.TaskGroup() as group:
        streams = Streams(client, token)
        following = [group.create_task(streams.follow(job_id)) for job_id in _of(large.open, STREAMS)]
        await streams.wait()
        await _requests(client, token, large, WARM_UP_S)
        quiet = await _used_by_streams(server, WARM_UP_S)
        before = await server.used()
        asked = await _requests(client, token, large, seconds)
        used, loaded_mb = (await server.used()).since(before), server.memory_mb
        for task in following:
            task.cancel()
    _print(asked, used, quiet, seconds)
    print(
        f"\nMemory of the server: {idle_mb:.0f} MB before, {loaded_mb:.0f} MB with all streams and after the requests"
    )
    print(f"{streams.events:,} events came over the streams; CPU of the streams alone {quiet:.0%} of a core")


def _of(choices: list[str], number: int) -> Iterator[str]:
    return itertools.islice(itertools.cycle(choices), number)


class Streams:
    """Clients that follow jobs."""

    def __init__(self, client: aiohttp.ClientSession, token: dict[str, str]) -> None:
        self._client = client
        self._token = token
        self._open = asyncio.Barrier(STREAMS + 1)
        self.events = 0

    async def follow(self, job_id: str) -> None:
        async with self._client.get(f"/v1/jobs/{job_id}/events", headers=self._token) as answer:
            assert answer.status == 200, await answer.text()
            await self._open.wait()
            async for line in answer.content:
                self.events += line.startswith(b"event:")
        raise AssertionError("a stream has ended")

    async def wait(self) -> None:
        """Wait until all of them are open."""
        await self._open.wait()


async def _used_by_streams(server: Server, seconds: float) -> float:
    before = await server.used()
    await asyncio.sleep(seconds)
    return (await server.used()).since(before).server_s / seconds


class Asked(NamedTuple):
    """How many milliseconds each request took since its moment, by kind; and how many failed."""

    times: dict[str, list[float]]
    failed: int


async def _requests(client: aiohttp.ClientSession, token: dict[str, str], large: Large, seconds: int) -> Asked:
    """Send requests at fixed moments."""
    chance, began, failed = random.Random(7), time.perf_counter(), 0
    times: dict[str, list[float]] = {kind.name: [] for kind in MIX}
    kinds = chance.choices(MIX, [kind.share for kind in MIX], k=seconds * PER_SECOND)

    async def one(kind: Kind, at: float) -> None:
        nonlocal failed
        await asyncio.sleep(at - time.perf_counter())
        async with client.get(kind.path(chance, large), headers={} if kind.page else token) as answer:
            await answer.read()
        times[kind.name].append((time.perf_counter() - at) * 1e3)
        failed += answer.status != 200

    async with asyncio.TaskGroup() as group:
        for number, kind in enumerate(kinds):
            group.create_task(one(kind, began + number / PER_SECOND))
    return Asked(times, failed)


def _print(asked: Asked, used: Used, quiet: float, seconds: int) -> None:
    every = [each for group in asked.times.values() for each in group]
    a_request = (used.server_s - quiet * seconds) / len(every) * 1e3
    print(f"{STREAMS} streams, {PER_SECOND} requests/s for {seconds} s, load {os.getloadavg()[0]:.1f}\n")
    print_head("request", "share", "p50 ms", "p99 ms", "most ms")
    for name, group in (*asked.times.items(), ("all", every)):
        if len(group) > 1:
            cuts = statistics.quantiles(group, n=100, method="inclusive")
            share = f"{len(group) / len(every):.0%}"
            print_row(name, share, f"{cuts[49]:.1f}", f"{cuts[98]:.1f}", f"{max(group):.1f}")
    print(f"\nOf {len(every):,} requests {asked.failed} were not answered with 200.")
    server, redis, commands = used.server_s / seconds, used.redis_s / seconds, used.commands / len(every)
    print(
        f"CPU: {a_request:.1f} ms a request; the server {server:.0%} of a core, of which the streams take {quiet:.0%};"
    )
    print(f"Redis {redis:.0%}, {commands:.0f} commands a request, those of the streams included.")
