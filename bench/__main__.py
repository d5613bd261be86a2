"""`make bench`: CPU and wall time a row, ours beside what people use today, medians of alternating runs.

python -m bench [ROWS] [REPEATS]
"""

from __future__ import annotations

import random
import statistics
import string
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.api_server import PATCH, api_server
from bench.contenders import Measured, ours, sdk_loop, task_a_row
from ledger.embedded import embedded_server


def main() -> None:
    rows, repeats = (int(given) if given else 0 for given in (*sys.argv[1:3], "", "")[:2])
    rows, repeats = rows or 10_000, repeats or 5
    with tempfile.TemporaryDirectory(prefix="rlb-") as temporary:
        folder = Path(temporary)
        file = write_patches(folder / "patches.csv", rows)
        with api_server(folder) as server, embedded_server(folder / "state") as redis:
            contenders: dict[str, Callable[[], Measured]] = {
                "relabel, replace, no undo, 64 in flight": lambda: ours(
                    file, rows, server.replace, redis, "--mode", "replace", "--no-undo", in_flight=64
                ),
                "relabel, merge with journal, 64 in flight": lambda: ours(
                    file, rows, server.merge, redis, in_flight=64
                ),
                "relabel, replace, no undo, 512 in flight": lambda: ours(
                    file, rows, server.replace, redis, "--mode", "replace", "--no-undo", in_flight=512
                ),
                "official SDK, asyncio, 64 in flight": lambda: sdk_loop(file, rows, server.replace, in_flight=64),
                "official SDK, asyncio, 256 in flight": lambda: sdk_loop(file, rows, server.replace, in_flight=256),
                "a Celery task a row, httpx": lambda: task_a_row(file, rows, server.replace, redis),
            }
            results: dict[str, list[Measured]] = {name: [] for name in contenders}
            for _ in range(repeats):
                for name, contender in contenders.items():
                    results[name].append(contender())
        print_table(results, f"{rows:,} rows, {server.name}, medians of {repeats}")


def write_patches(path: Path, rows: int) -> Path:
    chars = string.ascii_letters + string.digits
    chance = random.Random(7)
    with path.open("w") as file:
        file.write(",".join(["completion_id", *PATCH]) + "\n")
        for _ in range(rows):
            file.write(",".join(["chatcmpl-" + "".join(chance.choices(chars, k=29)), *PATCH.values()]) + "\n")
    return path


def print_table(results: dict[str, list[Measured]], title: str) -> None:
    ours_cpu = statistics.median(run.cpu_us for run in next(iter(results.values())))
    print(f"\n{title}\n")
    print("| | CPU µs a row | ratio | rows/s | Redis bytes a row |")
    print("|---|---|---|---|---|")
    for name, runs in results.items():
        cpu = statistics.median(run.cpu_us for run in runs)
        wall = statistics.median(run.wall_us for run in runs)
        memory = statistics.median(run.redis_bytes for run in runs)
        shown = f"{memory:.0f}" if memory else ""
        print(f"| {name} | {cpu:,.0f} | {cpu / ours_cpu:.2f} | {1e6 / wall:,.0f} | {shown} |")


if __name__ == "__main__":
    main()
