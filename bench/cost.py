"""CPU and wall time a row, ours beside what people use today: medians of alternating runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench.contenders import Measured, ours, sdk_loop, task_a_row
from bench.patches import write_csv
from bench.stage import Stage, stage
from bench.table import CPU_HEAD, cpu_cells, median, print_head, print_row

ROWS, REPEATS = 10_000, 5
REPLACE = ("--mode", "replace", "--no-undo")


def main(options: argparse.Namespace) -> None:
    rows, repeats = options.rows or ROWS, options.repeats or REPEATS
    with stage() as on:
        contenders = _contenders(on, rows)
        results: dict[str, list[Measured]] = {name: [] for name in contenders}
        for _ in range(repeats):
            for name, contender in contenders.items():
                results[name].append(contender())
                print(f"{name}: {results[name][-1].cpu.total:,.0f} µs", file=sys.stderr, flush=True)
        _print(results, f"{rows:,} rows, {on.api.name}, medians of {repeats} (least to most)")


def _contenders(on: Stage, rows: int) -> dict[str, Callable[[], Measured]]:
    file = write_csv(on.folder / "patches.csv", rows)
    replace, merge, redis = on.api.replace, on.api.merge, on.redis
    return {
        "relabel, replace, no undo, 64 in flight": lambda: ours(file, rows, replace, redis, *REPLACE),
        "relabel, merge with journal, 64 in flight": lambda: ours(file, rows, merge, redis),
        "relabel, replace, no undo, 512 in flight": lambda: ours(file, rows, replace, redis, *REPLACE, in_flight=512),
        "relabel, merge with journal, 512 in flight": lambda: ours(file, rows, merge, redis, in_flight=512),
        "official SDK, asyncio, 64 in flight": lambda: sdk_loop(file, rows, replace, in_flight=64),
        "official SDK, asyncio, 256 in flight": lambda: sdk_loop(file, rows, replace, in_flight=256),
        "a Celery task a row, httpx": lambda: task_a_row(file, rows, replace, redis),
    }


def _print(results: dict[str, list[Measured]], title: str) -> None:
    ours_cpu = median(next(iter(results.values())), lambda run: run.cpu.total)
    print(f"{title}\n")
    print_head("", *CPU_HEAD, "ratio", "worker's peak MB", "Redis bytes a row")
    for name, runs in results.items():
        ratio = median(runs, lambda run: run.cpu.total) / ours_cpu
        peak, kept = median(runs, lambda run: run.worker_mb), median(runs, lambda run: run.redis_bytes)
        print_row(name, *cpu_cells(runs), f"{ratio:.2f}", f"{peak:.0f}" if peak else "", f"{kept:.0f}" if kept else "")
