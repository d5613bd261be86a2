"""What `relabel history` takes among many kept jobs: the search alone, the use case, and the whole command."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from redis.asyncio import Redis

from bench.command import run
from bench.contenders import settings
from bench.patches import ids, patch_of
from bench.table import print_head, print_row
from config.settings import Settings
from embedded.server import EmbeddedServer, embedded_server
from ledger.connect import open_ledger
from ledger.job_spec import Columns, Mode
from ledger.ledger import Ledger
from ledger.row import Patch
from producer.check import check_rows
from producer.submit import JobRequest, submit
from relabel.history import history
from relabel.session import Session

JOBS, ROWS, CHANGED_BY, REPEATS = 1000, 1000, 10, 21
TARGET = "https://api.example/v1"


class Rows:
    """Patches of these ids."""

    columns = Columns("jsonl", "completion_id", [])

    def __init__(self, completion_ids: list[str]) -> None:
        self._ids = completion_ids

    def __iter__(self) -> Iterator[Patch]:
        for line, completion_id in enumerate(self._ids, 1):
            yield Patch(line, completion_id, dict(patch_of(completion_id)))


def main(options: argparse.Namespace) -> None:
    rows = options.rows or ROWS
    with tempfile.TemporaryDirectory(prefix="rlb-") as temporary:
        folder = Path(temporary)
        with embedded_server(folder / "state") as server:
            known = asyncio.run(_make_jobs(server, folder, rows))
            print(f"{JOBS:,} kept jobs of {rows:,} rows; {CHANGED_BY} of them hold the known id\n")
            print_head(
                "id",
                "search alone ms",
                "of it CPU of Redis",
                "history() ms (least to most)",
                "the whole command, s of wall time",
            )
            for name, completion_id in (("known", known), ("unknown", "chatcmpl-unknown")):
                search, redis_ms, whole = asyncio.run(_measure(server, completion_id, options.repeats or REPEATS))
                took = _command_s(server, completion_id, ends_with=0 if completion_id == known else 1)
                spread = f"{statistics.median(whole):.1f} ({min(whole):.1f} to {max(whole):.1f})"
                print_row(name, f"{statistics.median(search):.1f}", f"{redis_ms:.1f}", spread, f"{took:.2f}")


async def _make_jobs(server: EmbeddedServer, folder: Path, rows: int) -> str:
    """Store the jobs; every hundredth changes one completion. Return its id."""
    fresh = ids(JOBS * rows + 1)
    known = next(fresh)
    async with open_ledger(server.ledger_url) as redis:
        for number in range(JOBS):
            own = list(islice(fresh, rows))
            if number % (JOBS // CHANGED_BY) == 0:
                own[rows // 2] = known
            request = JobRequest(f"job {number}", Mode.MERGE, True, TARGET, 500, 3600.0, hold=True, again=True)
            with check_rows(Rows(own), mode=Mode.MERGE, spool_dir=folder) as checked:
                await submit(checked, request, ledger=Ledger(redis), announce=lambda *_: None)
    return known


async def _redis_cpu_s(redis: Redis) -> float:
    used = await redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


async def _measure(server: EmbeddedServer, completion_id: str, repeats: int) -> tuple[list[float], float, list[float]]:
    async with open_ledger(server.ledger_url) as redis:
        session = Session(Ledger(redis), Settings(_env_file=None), "bench")
        search, whole = [], []
        used = await _redis_cpu_s(redis)
        for _ in range(repeats):
            began = time.perf_counter()
            await session.ledger.row_indexes.search(completion_id)
            search.append((time.perf_counter() - began) * 1e3)
        redis_ms = (await _redis_cpu_s(redis) - used) / repeats * 1e3
        for _ in range(repeats):
            began = time.perf_counter()
            found = await history(session, completion_id)
            whole.append((time.perf_counter() - began) * 1e3)
        assert len(found.entries) in {0, CHANGED_BY}
        assert not found.not_searched
    return search, redis_ms, whole


def _command_s(server: EmbeddedServer, completion_id: str, *, ends_with: int) -> float:
    environment = settings(TARGET, server)
    return run("cli.main", "history", completion_id, environment=environment, ends_with=ends_with).wall_s
