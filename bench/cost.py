"""CPU and wall time a row, ours beside what people use today: medians of alternating runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench.contenders import CELERY, Measured, message_a_row, ours, sdk_loop
from bench.dense import dense_merge
from bench.patches import write_csv
from bench.stage import Stage, stage
from bench.table import CPU_HEAD, cpu_cells, median, print_head, print_row

ROWS, REPEATS = 10_000, 5
REPLACE = ("--mode", "replace", "--no-undo")
SDK = "official SDK, asyncio, 64 in flight"
DENSE = "relabel, dense merge with journal, read ahead"
GOALS = {
    "relabel, replace, no undo, 64 in flight": "0.16",
    "relabel, merge with journal, 64 in flight": "0.24",
    DENSE: "0.19",
}
"""Most of the CPU of the official SDK's loop that a row is to take (issue 15)."""


def main(options: argparse.Namespace) -> None:
    rows, repeats = options.rows or ROWS, options.repeats or REPEATS
    with stage() as on, dense_merge(on, rows) as dense:
        contenders = {**_contenders(on, rows), DENSE: dense}
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
        SDK: lambda: sdk_loop(file, rows, replace, in_flight=64),
        "official SDK, asyncio, 256 in flight": lambda: sdk_loop(file, rows, replace, in_flight=256),
        "a Celery task a row, httpx": lambda: message_a_row(CELERY, file, rows, replace, redis),
    }


def _print(results: dict[str, list[Measured]], title: str) -> None:
    cpu = {name: median(runs, lambda run: run.cpu.total) for name, runs in results.items()}
    print(f"{title}\n")
    print_head("", *CPU_HEAD, "of the SDK loop", "goal", "worker's peak MB", "Redis bytes a row")
    for name, runs in results.items():
        peak, kept = median(runs, lambda run: run.worker_mb), median(runs, lambda run: run.redis_bytes)
        memory = (f"{peak:.0f}" if peak else "", f"{kept:.0f}" if kept else "")
        print_row(name, *cpu_cells(runs), f"{cpu[name] / cpu[SDK]:.3f}", GOALS.get(name, ""), *memory)
    for kind in ("replace, no undo", "merge with journal"):
        ratio = cpu[f"relabel, {kind}, 512 in flight"] / cpu[f"relabel, {kind}, 64 in flight"]
        print(f"\n{kind}, 512 in flight against 64: {ratio:.2f} (goal 1.10).")
