"""What reading the list of stored completions costs: pages a second, CPU a completion, and memory, by size.

The reader is a process of its own, as a selection is, at a rate that does not hold it back; the list is the sandbox's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from bench.command import run
from bench.cpu import peak_mb
from bench.stage import stage
from bench.table import print_head, print_row
from completions.client import open_api
from completions.listing import ListQuery, open_list
from completions.target import Target
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ratelimit.limits import Limit, SharedLimit

SIZES = {10_000: 5, 100_000: 3, 1_000_000: 1}
"""Completions, and runs of which the median is taken."""
FAST = SharedLimit("relabel:limit:bench", Limit(100_000.0, 10_000))


class Reading(msgspec.Struct):
    """What one reading took: its own seconds and CPU from the first request on, and the most memory."""

    completions: int
    pages: int
    wall_s: float
    cpu_s: float
    peak_mb: float


def main(options: argparse.Namespace) -> None:
    print_head("completions", "pages/s", "CPU µs a completion", "least", "most", "peak MB")
    with stage() as on:
        for size, repeats in SIZES.items():
            if options.rows and size > options.rows:
                break
            with sandbox_of(size) as base_url:
                arguments = (base_url, on.redis.ledger_url)
                runs = [
                    msgspec.json.decode(run("bench.listing", *arguments).output, type=Reading)
                    for _ in range(options.repeats or repeats)
                ]
            costs = [each.cpu_s / each.completions * 1e6 for each in runs]
            print_row(
                f"{size:,}",
                f"{statistics.median(each.pages / each.wall_s for each in runs):,.0f}",
                *(f"{each:.1f}" for each in (statistics.median(costs), min(costs), max(costs))),
                f"{max(each.peak_mb for each in runs):.0f}",
            )


@contextlib.contextmanager
def sandbox_of(completions: int) -> Iterator[str]:
    """Run a sandbox that holds so many completions, and yield its base URL."""
    command = [sys.executable, "-m", "cli.main", "sandbox", "--completions", str(completions), "--log-limit", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


async def read_all(base_url: str, redis_url: str) -> Reading:
    """Read the whole list once."""
    completions = pages = 0
    async with (
        open_ledger(redis_url) as redis,
        open_api(Target(base_url, "sk-bench-0123456789"), in_flight=2) as api,
        open_list(Ledger(redis), api, FAST, ListQuery(), name="bench") as reader,
    ):
        began, cpu = time.perf_counter(), time.process_time()
        async for page in reader.pages():
            pages += 1
            completions += len(page.items)
        return Reading(completions, pages, time.perf_counter() - began, time.process_time() - cpu, peak_mb(os.getpid()))


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(asyncio.run(read_all(*sys.argv[1:3]))).decode())
