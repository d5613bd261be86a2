"""Against a limit of 100 requests a second: rows lost, and answers 429, with the SDK's own retries and with ours."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from bench.limiter import Case, on_cluster
from bench.patches import write_csv
from bench.table import print_head, print_row
from ledger.job import Job
from ledger.job_spec import Mode
from sandbox import Sandbox, SandboxOptions
from tests.harness.rows import PatchRows

ROWS, LIMIT, LATENCY_S = 3_000, 100.0, 0.05


async def main(options: argparse.Namespace) -> None:
    rows = options.rows or ROWS
    print(f"{rows:,} rows, one request each, {LIMIT:.0f}/s allowed, {LATENCY_S * 1000:.0f} ms an answer\n")
    print_head("", "rows lost", "answers 429", "seconds", "least possible")
    least = f"{rows / LIMIT:.0f}"
    for in_flight, says_when in ((64, True), (64, False), (256, False)):
        lost, refused, seconds = await _sdk_loop(rows, in_flight, says_when=says_when)
        name = f"official SDK, {in_flight} in flight, 429 {'with' if says_when else 'without'} Retry-After"
        print_row(name, lost, refused, f"{seconds:.0f}", least)
    job, refused, seconds = await _ours(rows)
    name = "relabel, two workers, configured for 100/s, 429 without Retry-After"
    print_row(name, f"{job.counts.failed}", refused, f"{seconds:.0f}", least)


async def _sdk_loop(rows: int, in_flight: int, *, says_when: bool) -> tuple[str, str, float]:
    limit = SandboxOptions(rate_per_second=LIMIT, latency_s=LATENCY_S, accept_any_id=True, retry_after=says_when)
    with tempfile.TemporaryDirectory(prefix="rlb-") as folder:
        file = write_csv(Path(folder) / "patches.csv", rows)
        async with Sandbox(limit) as sandbox:
            began = time.monotonic()
            arguments = ("-m", "bench.peers.sdk_loop", str(file), sandbox.base_url, str(in_flight))
            process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
            said, _ = await process.communicate()
            return said.split()[2].decode(), _refused(sandbox), time.monotonic() - began


async def _ours(rows: int) -> tuple[Job, str, float]:
    async with on_cluster(Case("lost rows", LIMIT, LIMIT, {"latency_s": LATENCY_S, "retry_after": False})) as cluster:
        began = time.monotonic()
        patches = PatchRows(rows, mode=Mode.REPLACE)
        job = await cluster.finished(await cluster.start_job(patches, shard_rows=500, journal=False), within=600)
        return job, _refused(cluster.sandbox), time.monotonic() - began


def _refused(sandbox: Sandbox) -> str:
    return f"{sum(entry.status == 429 for entry in sandbox.log.entries):,}"
