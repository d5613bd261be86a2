"""How long `relabel status` takes while a large job runs at full speed, asked every second."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping

import redis

from bench.command import run
from bench.contenders import running_worker, settings
from bench.patches import write_csv
from bench.stage import stage
from bench.table import print_head, print_row
from ledger.keys import JobKeys

ROWS, EVERY_S = 200_000, 1.0


def main(options: argparse.Namespace) -> None:
    rows = options.rows or ROWS
    with stage() as on:
        environment = settings(on.api.merge, on.redis)
        file = write_csv(on.folder / "rows.csv", rows)
        with redis.Redis.from_url(on.redis.ledger_url) as ledger, running_worker(environment, ledger):
            job_id = run("cli.main", "submit", "--again", "--yes", str(file), environment=environment).output
            began = time.perf_counter()
            waits = sorted(_asked_every_second(job_id, environment, ledger))
            seconds = time.perf_counter() - began
    print_head("rows", "rows/s", "times asked", "p50 ms", "p99 ms", "most ms")
    p50, p99 = statistics.median(waits), waits[max(0, len(waits) * 99 // 100 - 1)]
    print_row(
        f"{rows:,}", f"{rows / seconds:,.0f}", str(len(waits)), *(f"{s * 1e3:.0f}" for s in (p50, p99, waits[-1]))
    )


def _asked_every_second(job_id: str, environment: Mapping[str, str], ledger: redis.Redis) -> Iterator[float]:
    """Yield the seconds of each whole command while the job runs."""
    while ledger.hget(JobKeys(job_id).job, "state") == b"running":
        began = time.perf_counter()
        yield run("cli.main", "status", job_id, environment=environment).wall_s
        time.sleep(max(0.0, EVERY_S - (time.perf_counter() - began)))
