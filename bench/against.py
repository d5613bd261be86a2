"""relabel beside what people would build instead: cost, what one kill -9 at half loses or sends twice, and 429s.

Cost against a fast server; killed and limited runs against the sandbox, 50 ms an answer. The worker, or script where
there is none, is killed with all its processes once half of the rows are updated; then the same is started again. Rows
that nobody has updated 90 s after the last request count as lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import redis

from bench.contenders import (
    CELERY,
    CHILDREN,
    DRAMATIQ,
    SENDERS,
    Measured,
    dbos_steps,
    message_a_row,
    ours,
    peer_environment,
    sdk_loop,
    settings,
)
from bench.cost import REPLACE
from bench.patches import write_csv
from bench.stage import Stage, stage
from bench.table import median, print_head, print_row
from sandbox import Sandbox, SandboxOptions
from tests.harness.wait import wait_until

ROWS, REPEATS, LIMIT, LATENCY_S, QUIET_S = 1000, 5, 100.0, 0.05, 90.0
IN_FLIGHT = 64


class Peer(NamedTuple):
    """One way to do it. `worker` runs until it is ended, None: there is none; `send` ends by itself.

    Both are arguments of `python -m`; `send` is given the file and the URL.
    """

    name: str
    measure: Callable[[Path, int], Measured]
    worker: tuple[str, ...] | None
    send: Callable[[Path, str], tuple[str, ...]]
    environment: Callable[[str], Mapping[str, str]]


class Counted(NamedTuple):
    """Rows that nobody updated, updates that were made again, and answers 429."""

    lost: int
    again: int
    refused: int


def main(options: argparse.Namespace) -> None:
    rows, repeats = options.rows or ROWS, options.repeats or REPEATS
    with stage() as on:
        file = write_csv(on.folder / "patches.csv", rows)
        peers = _peers(on)
        costs: dict[str, list[Measured]] = {peer.name: [] for peer in peers}
        for _ in range(repeats):
            for peer in peers:
                costs[peer.name].append(peer.measure(file, rows))
        print(f"{rows:,} rows; cost: {on.api.name}, medians of {repeats}; the other runs: one each\n")
        print_head("", "CPU µs a row", "rows/s", "killed: lost", "killed: sent again", "100/s: 429s", "100/s: lost")
        for peer in peers:
            runs = costs[peer.name]
            killed = asyncio.run(_run(peer, on, file, rows, kills=True))
            limited = asyncio.run(_run(peer, on, file, rows, kills=False))
            cost = f"{median(runs, lambda run: run.cpu.total):,.0f}", f"{median(runs, lambda run: run.rows_per_s):,.0f}"
            print_row(peer.name, *cost, f"{killed.lost}", f"{killed.again}", f"{limited.refused}", f"{limited.lost}")


def _peers(on: Stage) -> list[Peer]:
    database, api = on.folder / "dbos.sqlite", on.api.replace

    def plain(_: str) -> Mapping[str, str]:
        return dict(os.environ)

    def known_rate(base_url: str) -> Mapping[str, str]:
        return settings(base_url, on.redis) | {"RELABEL_RATE__PER_MINUTE": str(int(LIMIT * 60))}

    def with_redis(base_url: str) -> Mapping[str, str]:
        return peer_environment(base_url, on.redis)

    def of_messages(name: str, worker: tuple[str, ...]) -> Peer:
        def measure(file: Path, rows: int) -> Measured:
            return message_a_row(worker, file, rows, api, on.redis)

        return Peer(name, measure, worker, lambda file, _: (SENDERS[worker], str(file)), with_redis)

    return [
        Peer(
            "relabel, replace, no undo",
            lambda file, rows: ours(file, rows, api, on.redis, *REPLACE),
            ("tasks.run_worker", str(os.getpid())),
            lambda file, _: ("cli.main", "submit", "--again", "--yes", *REPLACE, str(file)),
            known_rate,
        ),
        Peer(
            "official SDK, asyncio",
            lambda file, rows: sdk_loop(file, rows, api, in_flight=IN_FLIGHT),
            None,
            lambda file, url: ("bench.peers.sdk_loop", str(file), url, str(IN_FLIGHT)),
            plain,
        ),
        of_messages("a Celery task a row", CELERY),
        of_messages("a Dramatiq message a row", DRAMATIQ),
        Peer(
            "a DBOS step a row, SQLite",
            lambda file, rows: dbos_steps(file, rows, api, database, in_flight=IN_FLIGHT),
            None,
            lambda file, url: ("bench.peers.dbos_step", str(file), url, str(database), str(IN_FLIGHT)),
            plain,
        ),
    ]


async def _run(peer: Peer, on: Stage, file: Path, rows: int, *, kills: bool) -> Counted:
    """Carry the file out against the sandbox, killed at half or limited to 100 requests a second."""
    limit = None if kills else LIMIT
    async with Sandbox(SandboxOptions(latency_s=LATENCY_S, accept_any_id=True, rate_per_second=limit)) as sandbox:
        environment = peer.environment(sandbox.base_url)
        send = peer.send(file, sandbox.base_url)
        started = [_start(peer.worker or send, environment)]
        try:
            if peer.worker:
                await _until(lambda: len(psutil.Process(started[0].pid).children()) >= CHILDREN)
                started.append(_start(send, environment))
            if kills:
                await _until(lambda: len(_updates(sandbox)) >= rows / 2)
                _kill(started[0])
                started.append(_start(peer.worker or send, environment))
            await _until(lambda: len(_updates(sandbox)) == rows or _is_over(peer, sandbox, started[-1]))
        finally:
            for process in started:
                _kill(process)
        await asyncio.to_thread(_clear, on)
        updates = _updates(sandbox)
        refused = sum(entry.status == 429 for entry in sandbox.log.entries)
        return Counted(rows - len(updates), updates.total() - len(updates), refused)


def _updates(sandbox: Sandbox) -> Counter[str]:
    """Return how often each completion was updated."""
    return Counter(
        entry.id for entry in sandbox.log.entries if entry.operation == "update" and entry.applied and entry.id
    )


def _is_over(peer: Peer, sandbox: Sandbox, last: subprocess.Popen[bytes]) -> bool:
    """Return whether nobody sends any more: the script has ended, or the workers have been quiet for long."""
    if peer.worker is None:
        return last.poll() is not None
    return bool(sandbox.log.entries) and time.time() - sandbox.log.entries[-1].time > QUIET_S


async def _until(condition: Callable[[], bool]) -> None:
    await wait_until(condition, within=600, what="the run goes on")


def _start(arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-m", *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=quiet, stdout=quiet, stderr=quiet)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children by -9, all at once."""
    if process.poll() is None:
        tree = psutil.Process(process.pid)
        for each in (*tree.children(recursive=True), tree):
            each.kill()
    process.wait()


def _clear(on: Stage) -> None:
    (on.folder / "dbos.sqlite").unlink(missing_ok=True)
    with redis.Redis.from_url(on.redis.ledger_url) as ledger:
        ledger.flushall()  # our own private server
