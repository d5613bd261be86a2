"""What reading costs: check + fold + shards in each layout, and the whole of `submit --hold`, with its peak memory."""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import redis

from bench.command import run
from bench.contenders import settings
from bench.patches import COLUMNS, ids, patch_of
from bench.stage import Stage, stage
from bench.table import print_head, print_row

ROWS, WHOLE_ROWS, REPEATS, SHARD_ROWS = 200_000, 1_000_000, 3, 500
Line = Callable[[int, str, dict[str, str]], str]


class Layout(NamedTuple):
    """A way to write the same rows. `line` makes one of a row's number, id and patch."""

    name: str
    ending: str
    line: Line
    head: str = ""
    stringify: bool = False


def _object(completion_id: str, metadata: object, **others: object) -> str:
    return json.dumps({"completion_id": completion_id, **others, "metadata": metadata})


def _whole(completion_id: str, patch: dict[str, str]) -> str:
    return f'{completion_id},"{json.dumps(patch).replace(chr(34), chr(34) * 2)}"'


LAYOUTS = (
    Layout("CSV, a column a key", "csv", lambda _, name, patch: ",".join([name, *patch.values()]), ",".join(COLUMNS)),
    Layout("CSV, a `metadata` column", "csv", lambda _, name, patch: _whole(name, patch), "completion_id,metadata"),
    Layout("JSONL", "jsonl", lambda _, name, patch: _object(name, patch)),
    Layout(
        "JSONL with other fields",
        "jsonl",
        lambda row, name, patch: _object(name, patch, model="gpt-4o-mini", created=1_700_000_000 + row, note="by hand"),
    ),
    Layout(
        "JSONL with other fields, nested",
        "jsonl",
        lambda row, name, patch: _object(name, patch, usage={"prompt": row, "parts": [1, 2, {"cached": 3}]}),
    ),
    Layout(
        "JSONL with numbers, --stringify",
        "jsonl",
        lambda row, name, patch: _object(name, patch | {"score": row / 7, "ok": row % 2 == 0}),  # type: ignore[operator]
        stringify=True,
    ),
)


def main(options: argparse.Namespace) -> None:
    rows = options.rows or ROWS
    repeats = options.repeats or REPEATS
    with stage() as on:
        print(f"Check + fold + shards, {rows:,} rows, medians of {repeats}, each in a process of its own\n")
        print_head("layout", "rows/s of CPU", "least", "most", "peak MB", "bytes a row before compression")
        for layout in LAYOUTS:
            file = write(on.folder, layout, rows)
            _print(layout, [_measured(file, layout) for _ in range(repeats)])
            file.unlink()
        print(f"\nThe whole of `submit --hold`, {options.rows or WHOLE_ROWS:,} rows, stored in Redis\n")
        print_head("layout", "rows/s of CPU", "peak MB", "Redis bytes a row", "Redis' CPU µs a row")
        for layout in (LAYOUTS[0], LAYOUTS[2]):
            _whole_submit(on, layout, options.rows or WHOLE_ROWS)


def write(folder: Path, layout: Layout, rows: int) -> Path:
    """Write the rows in the layout and give the file's path."""
    path = folder / f"rows.{layout.ending}"
    with path.open("w") as file:
        if layout.head:
            file.write(layout.head + "\n")
        for row, completion_id in enumerate(ids(rows)):
            file.write(layout.line(row, completion_id, patch_of(completion_id)) + "\n")
    return path


def _measured(file: Path, layout: Layout) -> tuple[float, float, float]:
    said = run("bench.producer", str(file), str(layout.stringify)).output
    rate, peak, stored = map(float, next(csv.reader([said])))
    return rate, peak, stored


def _print(layout: Layout, runs: list[tuple[float, float, float]]) -> None:
    rates, peaks, stored = zip(*runs, strict=True)
    figures = (statistics.median(rates), min(rates), max(rates), statistics.median(peaks), stored[0])
    print_row(layout.name, *(f"{figure:,.0f}" for figure in figures))


def _whole_submit(on: Stage, layout: Layout, rows: int) -> None:
    file = write(on.folder, layout, rows)
    environment = settings("http://127.0.0.1:9/v1", on.redis)
    with redis.Redis.from_url(on.redis.ledger_url) as ledger:
        used, memory = ledger.info("cpu"), ledger.info("memory")["used_memory"]
        ended = run("cli.main", "submit", "--hold", "--again", "--yes", str(file), environment=environment)
        now = ledger.info("cpu")
        cpu = sum(now[name] - used[name] for name in ("used_cpu_user", "used_cpu_sys"))
        stored = ledger.info("memory")["used_memory"] - memory
        ledger.flushall()  # our own private server
    figures = (rows / ended.cpu_s, ended.peak_mb, stored / rows)
    print_row(layout.name, *(f"{figure:,.0f}" for figure in figures), f"{cpu / rows * 1e6:.1f}")
    file.unlink()


def measure(path: Path, *, stringify: bool) -> None:
    from config.input_options import InputOptions  # noqa: PLC0415 - as below
    from ledger.job_spec import Mode  # noqa: PLC0415 - what the parent needs would count as peak memory here
    from producer.check import check  # noqa: PLC0415
    from producer.source import open_source  # noqa: PLC0415

    began = time.process_time()
    with (
        open_source(path) as source,
        check(source, mode=Mode.MERGE, options=InputOptions(stringify=stringify), spool_dir=path.parent) as checked,
    ):
        stored = sum(len(shard.body) for shard in checked.shards(SHARD_ROWS))
        took = time.process_time() - began
        assert not checked.rejected
        rows = checked.total
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{rows / took},{peak},{stored / rows}")


if __name__ == "__main__":
    measure(Path(sys.argv[1]), stringify=sys.argv[2] == "True")
