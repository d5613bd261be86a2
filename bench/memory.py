"""What a finished job holds of Redis' memory, a row: patches of 3 keys, with and without the journal."""

from __future__ import annotations

import argparse

from bench.contenders import ours
from bench.cost import REPLACE
from bench.patches import write_csv
from bench.stage import stage
from bench.table import print_head, print_row

ROWS, FIRST_ROWS = 100_000, 100


def main(options: argparse.Namespace) -> None:
    rows = options.rows or ROWS
    with stage() as on:
        file = write_csv(on.folder / "patches.csv", rows)
        # what the server keeps for its first job, scripts above all, is no job's
        ours(write_csv(on.folder / "first.csv", FIRST_ROWS), FIRST_ROWS, on.api.merge, on.redis)
        print(f"{rows:,} rows; the values are those of bench/patches.py\n")
        print_head("job", "Redis bytes a row", "worker's peak MB")
        for name, base_url, how in (
            ("merge with journal", on.api.merge, ()),
            ("replace, no undo", on.api.replace, REPLACE),
        ):
            measured = ours(file, rows, base_url, on.redis, *how)
            print_row(name, f"{measured.redis_bytes:.0f}", f"{measured.worker_mb:.0f}")
