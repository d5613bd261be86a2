"""The command, a real ledger, and jobs in it whose rows have ended in every way."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pty
import re
import select
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.input_options import InputOptions
from ledger.codec import BeforeImage, Detail
from ledger.connect import open_ledger
from ledger.job import Traffic
from ledger.job_spec import JobSpec, Mode
from ledger.ledger import Ledger
from ledger.progress import LastError, Waits
from ledger.row import Outcome
from ledger.settlements import Settlement
from producer.check import check
from producer.checked import Checked
from producer.source import open_source
from producer.submit import JobRequest, submit
from tests.cli.deployed import Deploy, DeployedCommand
from tests.harness.command import ROOT, Ended, run_command
from tests.harness.forked_process import ForkedProcess
from tests.harness.idle_worker import IdleWorker, served_api

LONGEST_S = 120.0
CTRL_C = "\x03"

Ends = dict[int, Outcome | tuple[Outcome, Detail]]


def failure(code: str, message: str = "", *, status: int = 0) -> tuple[Outcome, Detail]:
    """How a row fails with this code."""
    return Outcome.FAILED, Detail(code, status, message, "req_1" if status else "", 2, 1_763_900_000.25)


@pytest.fixture
def fails() -> Callable[..., tuple[Outcome, Detail]]:
    """Make the end of a row that failed."""
    return failure


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    """The environment of the command: the private Redis, and no settings of the machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELABEL_", "OPENAI_"))}
    return kept | {"RELABEL_REDIS__URL": redis_url, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TZ": "UTC"}


@pytest.fixture
def relabel(environment: dict[str, str], tmp_path: Path) -> Callable[..., Awaitable[Ended]]:
    """Run the command to its end."""

    async def run(*arguments: str, **settings: str) -> Ended:
        return await run_command(*arguments, environment=environment | settings, folder=tmp_path)

    return run


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """The ledger that the command reads."""
    async with open_ledger(redis_url) as redis:
        yield Ledger(redis)


@pytest.fixture
def deploy(relabel: Callable[..., Awaitable[Ended]], idle_worker: IdleWorker, ledger: Ledger, tmp_path: Path) -> Deploy:
    """Serve an API to the idle worker, for the command in modules that import its `redis_url`."""

    @asynccontextmanager
    async def deploy(
        stored: Mapping[str, Mapping[str, str]], ids: Iterable[str], *, rows: str = "", **settings: str
    ) -> AsyncIterator[DeployedCommand]:
        async with served_api(idle_worker, ledger, stored, ids) as sandbox:
            command = DeployedCommand(relabel, sandbox, tmp_path, rows)
            command.settings |= settings
            yield command

    return deploy


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Checked]:
    """Check a file as `submit` does. The caller closes it."""

    def read(content: str | bytes, name: str = "patches.csv") -> Checked:
        raw = content.encode() if isinstance(content, str) else content
        options = InputOptions(layout="csv" if name.endswith("csv") else "jsonl")
        with open_source("-", stdin=io.BytesIO(raw), options=options) as source:
            return check(source, mode=Mode.MERGE, spool_dir=tmp_path)

    return read


@pytest.fixture
def make_job(ledger: Ledger, read: Callable[..., Checked]) -> Callable[..., Awaitable[JobSpec]]:
    """Submit a file's content as a job with shards of two rows, and end some of its rows."""

    async def make(
        content: str | bytes,
        ends: Ends | None = None,
        *,
        name: str = "patches.csv",
        images: bool = False,
        **wanted: Any,
    ) -> JobSpec:
        order = JobRequest(name, Mode.MERGE, True, "https://api.openai.com/v1", shard_rows=2, keep_s=3600.0, again=True)
        order = order._replace(**wanted)
        with read(content, name) as checked:
            submitted = await submit(checked, order, ledger=ledger, announce=lambda *_: None)
        spec = (await ledger.jobs.get(submitted.job_id)).spec
        await settle(ledger, spec, ends or {}, images=images)
        return spec

    return make


@pytest.fixture
def at_work(ledger: Ledger) -> Callable[..., AbstractAsyncContextManager[None]]:
    """Let a worker be at a job's first shard and say time and again what it waits for: its word counts for 5 s only."""

    @asynccontextmanager
    async def at_work(
        spec: JobSpec, waits: Waits, *, workers: int = 1, error: LastError | None = None
    ) -> AsyncIterator[None]:
        await ledger.shards.lease(spec.job_id, 0, "test")
        shard = await ledger.shards.load(spec.job_id, 0, "test")
        assert shard is not None

        async def say() -> None:
            await ledger.shards.renew(shard, waits, error)
            for number in range(workers):
                await ledger.workers.beat(f"worker{number}", 2)

        async def keep_saying() -> None:
            while True:
                await asyncio.sleep(0.5)
                await say()

        await say()
        saying = asyncio.create_task(keep_saying())
        yield
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)

    return at_work


async def settle(ledger: Ledger, spec: JobSpec, ends: Ends, *, images: bool = False) -> None:
    """End rows, by their number in the job, as workers do; with `images` of completions that had no metadata."""
    for number in sorted({spec.place_of(row)[0] for row in ends}):
        await ledger.shards.lease(spec.job_id, number, "test")
        shard = await ledger.shards.load(spec.job_id, number, "test")
        assert shard is not None
        if images:
            places = map(spec.place_of, ends)
            befores = [BeforeImage(place, {}) for shard_number, place in places if shard_number == number]
            await ledger.settlements.journal(shard, befores, [])
        settlements = []
        for row, end in ends.items():
            outcome, detail = end if isinstance(end, tuple) else (end, None)
            shard_number, place = spec.place_of(row)
            if shard_number == number:
                settlements.append(Settlement(place, outcome, detail))
        await ledger.settlements.settle(shard, settlements, Traffic(requests=2 * len(settlements), retries=1))
        await ledger.shards.release(shard)


@pytest.fixture
def end_rows(ledger: Ledger) -> Callable[[JobSpec, Ends], Awaitable[None]]:
    """End some of a job's rows."""

    async def end(spec: JobSpec, ends: Ends) -> None:
        await settle(ledger, spec, ends)

    return end


class Session(NamedTuple):
    """What a command said on a terminal, its exit code, and `raw` what it said with what only a terminal sees."""

    said: str
    code: int
    raw: str


def give_up(process: ForkedProcess, said: str) -> bool:
    """End a command that says nothing more."""
    process.send_signal(signal.SIGKILL)
    raise AssertionError(f"still running; it said: {said}")


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path) -> Any:
    """Run the command on a terminal, and answer its question when it comes."""

    def session(*arguments: str, answer: str = "", question: str = "Go on? [y/N]", **settings: str) -> Session:
        master, theirs = pty.openpty()
        env = environment | {"OPENAI_API_KEY": "sk-x"} | settings
        process = ForkedProcess("relabel", arguments, cwd=tmp_path, env=env, files=(theirs, theirs, theirs))
        os.close(theirs)
        said, answered, deadline = "", False, time.monotonic() + LONGEST_S
        with contextlib.suppress(OSError):  # how a terminal tells that nobody is left at the other end
            while time.monotonic() < deadline or give_up(process, said):
                silent = not select.select([master], [], [], 1.0)[0]
                said += "" if silent else os.read(master, 65_536).decode(errors="replace")
                # Ctrl-C in the instant before Python reads a line is seen after the line only; people press it again
                again = silent and answer == CTRL_C
                if question in said and (not answered or again):
                    os.write(master, answer.encode())
                    answered = True
        os.close(master)
        return Session(re.sub(r"\x1b\[[\d;?]*\w", "", said), process.wait(), said)

    return session
