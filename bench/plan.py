"""CPU a row of a plan, beside that of the merge that it plans: medians of alternating runs."""

from __future__ import annotations

import argparse

from bench.contenders import PLAN, Measured, ours
from bench.patches import write_csv
from bench.stage import stage
from bench.table import CPU_HEAD, cpu_cells, median, print_head, print_row

ROWS, REPEATS = 10_000, 5


def main(options: argparse.Namespace) -> None:
    rows, repeats = options.rows or ROWS, options.repeats or REPEATS
    with stage() as on:
        file = write_csv(on.folder / "patches.csv", rows)
        contenders = {
            "plan": lambda: ours(file, rows, on.api.merge, on.redis, verb=PLAN),
            "merge with journal": lambda: ours(file, rows, on.api.merge, on.redis),
        }
        results: dict[str, list[Measured]] = {name: [] for name in contenders}
        for _ in range(repeats):
            for name, contender in contenders.items():
                results[name].append(contender())
        print(f"{rows:,} rows, {on.api.name}, 64 in flight, medians of {repeats} (least to most)\n")
        print_head("", *CPU_HEAD, "Redis bytes a row")
        for name, runs in results.items():
            print_row(name, *cpu_cells(runs), f"{median(runs, lambda run: run.redis_bytes):.0f}")
