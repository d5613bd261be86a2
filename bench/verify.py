"""CPU a row of a verification: where all rows hold, and where each row differs and its cause is looked for."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import redis

from bench.command import run, wait_until
from bench.contenders import Measured, running_worker, settings
from bench.cpu import cpu_of_worker
from bench.patches import write_csv
from bench.stage import Stage, stage
from bench.table import CPU_HEAD, cpu_cells, print_head, print_row
from ledger.keys import JobKeys, claim_key

ROWS, REPEATS = 10_000, 5


def main(options: argparse.Namespace) -> None:
    rows, repeats = options.rows or ROWS, options.repeats or REPEATS
    with stage() as on:
        file = write_csv(on.folder / "patches.csv", rows)
        # a server without a memory: for one URL it shows what was sent, for the other what was there before
        contenders = {
            "all rows hold": lambda: _verified(on, file, rows, holds=True),
            "no row holds": lambda: _verified(on, file, rows, holds=False),
        }
        results: dict[str, list[Measured]] = {name: [] for name in contenders}
        for _ in range(repeats):
            for name, contender in contenders.items():
                results[name].append(contender())
        print(f"{rows:,} rows, {on.api.name}, 64 in flight, medians of {repeats} (least to most)\n")
        print_head("", *CPU_HEAD)
        for name, runs in results.items():
            print_row(name, *cpu_cells(runs))


def _verified(on: Stage, file: Path, rows: int, *, holds: bool) -> Measured:
    """Have a job carried out, then verify it: producer, worker and Redis are counted for the latter alone."""
    mode, outcome = ("replace", "unchanged") if holds else ("merge", "drifted")
    environment = settings(on.api.replace if holds else on.api.merge, on.redis)
    with redis.Redis.from_url(on.redis.ledger_url) as ledger:
        with running_worker(environment, ledger) as worker:
            submit = ("submit", "--again", "--yes", "--mode", mode, str(file))
            _finish(ledger, run("cli.main", *submit, environment=environment).output)
            for key in ledger.scan_iter(match=claim_key("*")):
                ledger.delete(key)  # a read that shows the state before a recent write would be waited for
            idle = cpu_of_worker(worker, ledger)
            began = time.perf_counter()
            sent = run("cli.main", "verify", "last", "--yes", "--no-wait", environment=environment)
            _finish(ledger, sent.output)
            wall = time.perf_counter() - began
            cpu = cpu_of_worker(worker, ledger).since(idle)._replace(producer=sent.cpu_s)
            found = int(ledger.hget(JobKeys(sent.output).counts, outcome) or 0)
            assert found == rows, f"{found} of {rows} rows {outcome}"
        ledger.flushall()  # our own private server
    return Measured(cpu.a_row(rows), rows / wall)


def _finish(ledger: redis.Redis, job_id: str) -> None:
    wait_until(lambda: ledger.hget(JobKeys(job_id).job, "state") == b"finished")
