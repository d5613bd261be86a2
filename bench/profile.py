"""Where the time of a worker's child goes, by py-spy: shares of its CPU, for each mode.

py-spy is asked of the PATH, or of this environment's folder of commands; it may need rights to look at processes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import redis

from bench.command import run, wait_until
from bench.contenders import running_worker, settings
from bench.cost import REPLACE
from bench.patches import write_csv
from bench.stage import Stage, stage
from bench.table import print_head, print_row
from ledger.keys import JobKeys

ROWS, SECONDS, SAMPLES_A_SECOND = 60_000, 10, 200
PLACES = (
    ("aiohttp: connections, parsing", ("aiohttp/",)),
    ("httpx: requests and answers", ("httpx/",)),
    ("writing requests, reading answers", ("AiohttpTransport", "Deadlines", "CompletionsApi")),
    ("round trips for slots of the rate", ("Limits.acquire",)),
    ("handing the slots out", ("RateLimiter",)),
    ("claims", ("RowQueue", "Claims.swap")),
    ("journal", ("ShardWriter._keep_images", "ShardWriter.journal", "Settlements.journal")),
    ("settling", ("ShardWriter._settle", "Settlements.settle")),
    ("Redis' replies", ("redis/",)),
    ("a row's own steps: what to send, what came back", ("RowLane",)),
    ("Celery and announcing", ("announce (tasks/shard", "announce (tasks/announce")),
    ("waiting for sockets", ("select (selectors.py",)),
    ("the event loop itself", ("_run_once",)),
)
"""The first place counts of which a part stands in a sample's stack."""


def main(options: argparse.Namespace) -> None:
    beside = Path(sys.executable).parent / "py-spy"
    py_spy = str(beside) if beside.exists() else shutil.which("py-spy")
    if py_spy is None:
        print("py-spy is not installed; `pip install py-spy` brings it")
        return
    rows = options.rows or ROWS
    with stage() as on:
        file = write_csv(on.folder / "patches.csv", rows)
        for name, base_url, how in (
            ("replace, no undo", on.api.replace, REPLACE),
            ("merge with journal", on.api.merge, ()),
        ):
            shares = _shares(_sample(py_spy, on, file, base_url, how))
            print(f"{name}, {rows:,} rows\n")
            print_head("where", "share")
            for place, share in shares:
                print_row(place, f"{share:.0%}")
            print()


def _sample(py_spy: str, on: Stage, file: Path, base_url: str, how: tuple[str, ...]) -> str:
    environment = settings(base_url, on.redis)
    stacks = on.folder / "stacks"
    with redis.Redis.from_url(on.redis.ledger_url) as ledger:
        with running_worker(environment, ledger) as worker:
            sent = run("cli.main", "submit", "--again", "--yes", *how, str(file), environment=environment)
            child = psutil.Process(worker).children()[0].pid
            given = ["-d", str(SECONDS), "-r", str(SAMPLES_A_SECOND), "-f", "raw", "-o", str(stacks), "-p", str(child)]
            subprocess.run([py_spy, "record", *given], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: ledger.hget(JobKeys(sent.output).job, "state") == b"finished")
        ledger.flushall()  # our own private server
    return stacks.read_text()


def _shares(stacks: str) -> list[tuple[str, float]]:
    times: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        times[_place(stack)] += int(samples)
    return [(place, number / times.total()) for place, number in times.most_common()]


def _place(stack: str) -> str:
    return next((place for place, marks in PLACES if any(mark in stack for mark in marks)), "the rest")
