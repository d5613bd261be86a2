"""What the preview costs: the check of a file with the counting of what its rows do, and without, in turns."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from bench.command import run
from bench.producer import LAYOUTS, SHARD_ROWS, Layout, write
from bench.stage import stage
from bench.table import print_head, print_row

ROWS, REPEATS = 200_000, 7


def main(options: argparse.Namespace) -> None:
    rows, repeats = options.rows or ROWS, options.repeats or REPEATS
    print(f"Check + fold + shards, {rows:,} rows, fastest of {repeats} each, in turns in one process a layout\n")
    print_head("layout", "rows/s of CPU", "without the counts", "the counts add", "median of the pairs")
    with stage() as on:
        for layout in LAYOUTS:
            file = write(on.folder, layout, rows)
            _print(layout, rows, run("bench.preview", str(file), str(layout.stringify), str(repeats)).output)
            file.unlink()


def _print(layout: Layout, rows: int, output: str) -> None:
    pairs = [tuple(map(float, line.split())) for line in output.splitlines()]
    counted, bare = (min(seconds) for seconds in zip(*pairs, strict=True))
    median = statistics.median(first / second - 1 for first, second in pairs)
    shares = (f"{share:+.1%}" for share in (counted / bare - 1, median))
    print_row(layout.name, f"{rows / counted:,.0f}", f"{rows / bare:,.0f}", *shares)


def measure(path: Path, *, stringify: bool, repeats: int) -> None:
    """Print the CPU seconds of each pair, which of the two comes first taking turns."""
    import producer.check  # noqa: PLC0415 - the parent needs none of it
    from config.input_options import InputOptions  # noqa: PLC0415
    from ledger.job_spec import Mode  # noqa: PLC0415
    from producer.profile import Profiler  # noqa: PLC0415
    from producer.source import open_source  # noqa: PLC0415

    class NoCounts(Profiler):
        def add(self, rows: object) -> None:
            """Count nothing."""

    def seconds(profiler: type[Profiler]) -> float:
        producer.check.Profiler = profiler  # type: ignore[misc]
        options = InputOptions(stringify=stringify)
        began = time.process_time()
        with (
            open_source(path) as source,
            producer.check.check(source, mode=Mode.MERGE, options=options, spool_dir=path.parent) as checked,
        ):
            sum(len(shard.body) for shard in checked.shards(SHARD_ROWS))
        return time.process_time() - began

    seconds(Profiler)
    for number in range(repeats):
        order = (Profiler, NoCounts) if number % 2 else (NoCounts, Profiler)
        took = {profiler: seconds(profiler) for profiler in order}
        print(took[Profiler], took[NoCounts])


if __name__ == "__main__":
    measure(Path(sys.argv[1]), stringify=sys.argv[2] == "True", repeats=int(sys.argv[3]))
