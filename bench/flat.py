"""Whether a row of a large job costs what a row of a small one does.

The command's own start costs the same whatever the size, so the cost is shown with and without it.
"""

from __future__ import annotations

import argparse
import statistics

from bench.command import run
from bench.contenders import ours
from bench.cost import REPLACE
from bench.patches import write_csv
from bench.stage import stage
from bench.table import CPU_HEAD, cpu_cells, median, print_head, print_row

SIZES = {10_000: 5, 100_000: 3, 1_000_000: 1}
"""Rows, and runs of which the median is taken."""


def main(options: argparse.Namespace) -> None:
    start = statistics.median(run("cli.main", "submit", "--help").cpu_s for _ in range(5))
    print(f"Replace without undo, 64 in flight; the start of the command is {start:.2f} s of CPU.\n")
    print_head("rows", *CPU_HEAD, "without the start", "Redis bytes a row", "worker's peak MB")
    with stage() as on:
        for rows, repeats in SIZES.items():
            if options.rows and rows > options.rows:
                break
            file = write_csv(on.folder / f"{rows}.csv", rows)
            runs = [ours(file, rows, on.api.replace, on.redis, *REPLACE) for _ in range(options.repeats or repeats)]
            bare = median(runs, lambda run: run.cpu.total) - start / rows * 1e6
            kept, peak = median(runs, lambda run: run.redis_bytes), median(runs, lambda run: run.worker_mb)
            print_row(f"{rows:,}", *cpu_cells(runs), f"{bare:,.0f}", f"{kept:.0f}", f"{peak:.0f}")
            file.unlink()
