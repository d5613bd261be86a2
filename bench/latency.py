"""How long people wait: from `submit` to the first request, and for `status` of a large job."""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import redis

from bench.command import run
from bench.contenders import running_worker, settings
from bench.patches import write_csv
from bench.stage import Stage, stage
from bench.table import print_head, print_row
from cli.exit_codes import NOT_FINISHED
from ledger.connect import open_ledger
from ledger.job_states import Jobs

RELEASE_ONE = "9cc6ec2"
"""The last commit of release one."""
ROWS, REPEATS, LARGE, SMALL = 10_000, 5, 1_000_000, 1_000


def main(options: argparse.Namespace) -> None:
    repeats = options.repeats or REPEATS
    with stage() as on:
        file = write_csv(on.folder / "patches.csv", ROWS)
        with release_one(on.folder / "one") as one:
            pairs = [(first_request_s(on, file), one and first_request_s(on, file, one)) for _ in range(repeats)]
        print_head("wait", "median ms", "least", "most")
        now, then = [pair[0] for pair in pairs], [pair[1] for pair in pairs if pair[1]]
        _print(f"from the start of `submit` to the first request, {ROWS:,} rows, a worker runs", now)
        if then:
            _print("the same in release one, in turns", then)
            print_row(
                "the share of release one's (goal 0.55)",
                f"{statistics.median(now) / statistics.median(then):.2f}",
                "",
                "",
            )
        environment = settings(on.api.replace, on.redis)
        _print("`relabel --version`: Python and our start alone", [_wall("--version") for _ in range(repeats)])
        for rows in (SMALL, options.rows or LARGE):
            path = write_csv(on.folder / f"{rows}.csv", rows)
            held = run("cli.main", "submit", "--hold", "--again", "--yes", str(path), environment=environment)
            path.unlink()
            status = partial(_wall, "status", held.output, environment=environment, ends_with=NOT_FINISHED)
            whole = [status() for _ in range(repeats)]
            _print(f"`relabel status` of {rows:,} rows, the whole command", whole)
            asked = asyncio.run(_ask(on.redis.ledger_url, held.output))
            _print(f"what `status` asks and `watch` repeats, {rows:,} rows", asked)


@contextmanager
def release_one(folder: Path) -> Iterator[Path | None]:
    """Lay out the source of release one from the history of this repository; None where that is not at hand."""
    git = ["git", "-C", str(Path(__file__).parent), "worktree"]
    added = subprocess.run([*git, "add", "--detach", str(folder), RELEASE_ONE], check=False, capture_output=True)
    if added.returncode:
        print(f"release one ({RELEASE_ONE}) is not in the history of this folder, so nothing is compared with it\n")
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def first_request_s(on: Stage, file: Path, tree: Path | None = None) -> float:
    """Submit to a worker whose API is a socket that takes the first connection and notes the time.

    The command and the worker are those of the source in `tree`, None for ours.
    """
    with redis.Redis.from_url(on.redis.ledger_url) as ledger, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        environment = settings(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", on.redis)
        environment |= {"PYTHONPATH": str(tree)} if tree else {}
        with running_worker(environment, ledger, tree):
            began = time.perf_counter()
            submit = [sys.executable, "-m", "cli.main", "submit", "--again", "--yes", str(file)]
            quiet = subprocess.DEVNULL
            command = subprocess.Popen(submit, env=environment, cwd=tree, stdin=quiet, stdout=quiet, stderr=quiet)
            listener.accept()[0].close()
            waited = time.perf_counter() - began
            command.wait()
            listener.close()
        ledger.flushall()  # our own private server
    return waited


def _wall(*arguments: str, environment: dict[str, str] | None = None, ends_with: int = 0) -> float:
    return run("cli.main", *arguments, environment=environment, ends_with=ends_with).wall_s


async def _ask(url: str, job_id: str) -> list[float]:
    async with open_ledger(url) as client:
        jobs, waits = Jobs(client), []
        for _ in range(100):
            began = time.perf_counter()
            await jobs.get(job_id)
            waits.append(time.perf_counter() - began)
    return waits


def _print(name: str, seconds: list[float]) -> None:
    figures = (statistics.median(seconds), min(seconds), max(seconds))
    print_row(name, *(f"{each * 1000:,.1f}" for each in figures))
