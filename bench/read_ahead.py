"""What reading ahead saves a merge: requests a row by how many rows lie on a page, and the time of a dense job.

The rows are drawn at random from the sandbox's completions, in random order; one process runs shard after shard. A
probe's findings are taken for granted: the service merges, and pages show updates at once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from typing import NamedTuple

from bench.stage import stage
from bench.table import print_head, print_row
from ledger.connect import open_ledger
from ratelimit.limits import Limit
from sandbox import Sandbox, SandboxOptions
from tests.harness.worker_harness import WorkerHarness
from worker.read_ahead import PageReach
from worker.service import Service

ROWS, ON_A_PAGE = 2000, (1, 2, 5, 10, 100)
DENSE_ROWS, RATE, LATENCY_S = 10_000, 100.0, 0.05
GETS, PAGES = Service(), Service(pages_serve_writes=True)


class Run(NamedTuple):
    """Requests a row, and the seconds of the job."""

    requests: float
    pages: float
    seconds: float


def main(options: argparse.Namespace) -> None:
    with stage() as on:
        asyncio.run(_measure(on.redis.ledger_url, options.rows or ROWS, options.rows or DENSE_ROWS))


async def _measure(redis_url: str, rows: int, dense_rows: int) -> None:
    print(f"{rows:,} rows of a merge; a GET and an update take 2 requests a row\n")
    print_head("rows on a page", "requests a row, in the order of the file", "of these pages", "in the order of age")
    for count in ON_A_PAGE:
        shuffled = await _run(redis_url, rows, rows * 100 // count, PAGES, by_age=False)
        by_age = await _run(redis_url, rows, rows * 100 // count, PAGES, by_age=True)
        print_row(str(count), f"{shuffled.requests:.3f}", f"{shuffled.pages:.3f}", f"{by_age.requests:.3f}")
    print(f"\n{dense_rows:,} rows on neighbouring completions, {RATE:g} requests/s, {LATENCY_S:g} s a request\n")
    print_head("", "seconds", "requests a row")
    for name, service in (("GETs", GETS), ("pages", PAGES)):
        run = await _run(redis_url, dense_rows, dense_rows, service, by_age=True, rate=RATE, latency_s=LATENCY_S)
        print_row(name, f"{run.seconds:.1f}", f"{run.requests:.3f}")


async def _run(
    redis_url: str,
    rows: int,
    stored: int,
    service: Service,
    *,
    by_age: bool,
    rate: float = 5000.0,
    latency_s: float = 0.0,
) -> Run:
    options = SandboxOptions(semantics="merge", completions=stored, latency_s=latency_s)
    async with open_ledger(redis_url) as redis, Sandbox(options) as sandbox:
        harness = WorkerHarness(redis, sandbox)
        harness.limit, harness.service, harness.reach = Limit(rate, max(1, int(rate / 10))), service, PageReach()
        chosen = random.Random(1).sample(list(sandbox.store.dump()), rows)
        if by_age:
            chosen.sort(key=lambda each: each[9:14].swapcase())  # base 62 has digits, capitals, then small letters
        job_id = await harness.submit(*[(each, {"checked": "yes"}) for each in chosen])
        began = time.perf_counter()
        for number in range(-(-rows // 500)):
            while str(await harness.turn(job_id, number, in_flight=64)) not in {"closed", "finished"}:
                pass
        seconds = time.perf_counter() - began
        assert (await harness.job(job_id)).counts.updated == rows
        sent = sandbox.log.stats.by_operation
        return Run(sum(sent.values()) / rows, sent["list"] / rows, seconds)
