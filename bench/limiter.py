"""What the shared rate gets out of a server's limit: share used, answers 429, seconds to settle.

Two real workers of two children each against the sandbox over HTTP, which keeps to the limit itself.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.log import Entry
from tests.harness.cluster import Cluster
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

GOAL_USED, GOAL_REFUSED = 0.9, 0.02
WINDOW_S = 5
FIRST_ROWS = 1000
"""Rows of the job by which a limit was used before: enough for any rate to have been tried."""


class Case(NamedTuple):
    """A server's limit and what the workers are told. `options` are the sandbox's; `used_before`: by a first job."""

    name: str
    configured: float
    allowed: float
    options: dict[str, Any]
    used_before: bool = False


CASES = [
    Case("unknown 50/s, bucket of 1 s, Retry-After", 500, 50, {}),
    Case("unknown 50/s, bucket of 1 s, no word", 500, 50, {"retry_after": False}),
    Case("unknown 50/s, bucket of 0.1 s, Retry-After", 500, 50, {"burst": 5}),
    Case("unknown 50/s, bucket of 1 min, Retry-After", 500, 50, {"burst": 3000}),
    Case("unknown 50/s, bucket of 1 s, rate headers", 500, 50, {"rate_headers": True}),
    Case("100/s configured and allowed", 100, 100, {}),
    Case("1,000/s configured and allowed", 1000, 1000, {}),
    Case("1,000/s configured and allowed, used before", 1000, 1000, {}, used_before=True),
]


class Figures(NamedTuple):
    """Shares of what was allowed and of what was sent, over all and over the last half; seconds to settle."""

    used: float
    refused: float
    late_used: float
    late_refused: float
    settled_s: float | None


async def main(options: argparse.Namespace) -> None:
    print("| server's limit | used | 429 | settled after | used, last half | 429, last half |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        figures = await measure(case, options.seconds)
        settled = "never" if figures.settled_s is None else f"{figures.settled_s:.0f} s"
        print(
            f"| {case.name} | {figures.used:.1%} | {figures.refused:.2%} | {settled} "
            f"| {figures.late_used:.1%} | {figures.late_refused:.2%} |",
            flush=True,
        )
    print(f"\nA limit of 50/s lifted to 200/s: 180/s again after {await measure_lifted():.0f} s.")


async def measure(case: Case, seconds: int) -> Figures:
    async with on_cluster(case) as cluster:
        if case.used_before:
            first = await cluster.start_job(PatchRows(FIRST_ROWS, seed=1), shard_rows=500)
            await cluster.finished(first, within=60)
        before = cluster.sandbox.log.total
        await _job_under_way(cluster, seconds * max(case.allowed, 60) + case.options.get("burst", 0))
        await asyncio.sleep(seconds)
        return figures(cluster.sandbox.log.since(before), case.allowed, seconds)


async def measure_lifted() -> float:
    case = Case("lifted", 200, 50, {})
    async with on_cluster(case) as cluster:
        await _job_under_way(cluster, 100 * 200)
        await asyncio.sleep(25)
        cluster.sandbox.configure(rate_per_second=200.0)
        began = asyncio.get_running_loop().time()
        while True:
            asked = cluster.asked
            await asyncio.sleep(1)
            if cluster.asked - asked >= 0.9 * case.configured:
                return asyncio.get_running_loop().time() - began


@asynccontextmanager
async def on_cluster(case: Case) -> AsyncIterator[Cluster]:
    """A cluster in a folder of its own with two workers of two children each."""
    with tempfile.TemporaryDirectory(prefix="rlb-") as folder:
        logs = Path(folder) / "logs"
        logs.mkdir()
        limit = {"rate_per_second": float(case.allowed), "latency_s": 0.05} | case.options
        async with Cluster(Path(folder), keep_logs=logs, **limit) as cluster:
            await cluster.two_workers(rate={"per_minute": case.configured * 60}, worker={"in_flight": 64})
            yield cluster


async def _job_under_way(cluster: Cluster, requests: float) -> None:
    asked = cluster.asked
    await cluster.start_job(PatchRows(int(requests * 0.6) + 500), shard_rows=500)
    await wait_until(lambda: cluster.asked > asked, within=30, what="the workers are at the job")


def figures(entries: list[Entry], allowed: float, seconds: float) -> Figures:
    began = entries[0].started_s
    times = [(entry.started_s - began, entry.status == 429) for entry in entries if entry.started_s - began < seconds]

    def shares(since: float, until: float) -> tuple[float, float]:
        sent = [refused for at, refused in times if since <= at < until]
        refused = sum(sent)
        return (len(sent) - refused) / (allowed * (until - since)), refused / max(1, len(sent))

    def good(since: float, until: float) -> bool:
        used, refused = shares(since, until)
        return used >= GOAL_USED and refused < GOAL_REFUSED

    last = seconds - WINDOW_S
    settled = (second for second in range(int(last)) if good(second, seconds) and good(second, second + WINDOW_S))
    return Figures(*shares(0, seconds), *shares(seconds / 2, seconds), next(settled, None))
