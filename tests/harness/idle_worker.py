"""A deployed worker that waits for the jobs of many tests, one after the other; nothing may kill it or its Redis."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.claims import claim_of
from ledger.keys import claim_key
from ledger.ledger import Ledger
from sandbox import Sandbox
from tests.harness.cluster import ALONE, settings_for
from tests.harness.redis_server import PrivateRedis
from tests.harness.worker_process import WorkerProcess

PORTS = (20_000, 32_000)
"""Below the ports that Linux and macOS give out by themselves: from 32,768 and from 49,152 on."""


class IdleWorker(NamedTuple):
    """Where the worker's ledger is, and the port on which it looks for an API: each test serves its own there."""

    redis_url: str
    api_port: int


def _port_for_long() -> int:
    """Return a port that is free and stays so between tests: none that the system gives to whoever asks for any."""
    while True:
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", random.randrange(*PORTS)))
            return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def idle_worker() -> Iterator[IdleWorker]:
    """Start the worker of this test process. Its ledger is never emptied, so jobs of other tests are in it."""
    port = _port_for_long()
    with tempfile.TemporaryDirectory(prefix="relabel-") as path, PrivateRedis(Path(path)) as redis:
        settings = settings_for(redis.url, f"http://127.0.0.1:{port}/v1", api={"attempts": 1})
        worker = WorkerProcess(settings, name="idle", folder=Path(path), options=ALONE)
        try:
            asyncio.run(worker.ready())
            yield IdleWorker(redis.url, port)
        finally:
            worker.kill()


@pytest.fixture
def redis_url(idle_worker: IdleWorker) -> str:
    """The worker's ledger, in which the jobs of other tests are: for modules that import this fixture."""
    return idle_worker.redis_url


@contextlib.asynccontextmanager
async def served_api(
    worker: IdleWorker, ledger: Ledger, stored: Mapping[str, Mapping[str, str]], ids: Iterable[str]
) -> AsyncIterator[Sandbox]:
    """An API where the worker looks for one, with what it stores; other tests leave no record of writes to `ids`."""
    async with Sandbox(port=worker.api_port) as sandbox:
        sandbox.store.load(stored)
        await forget_writes(ledger, sandbox, ids)
        yield sandbox


async def forget_writes(ledger: Ledger, sandbox: Sandbox, ids: Iterable[str]) -> None:
    """Let the records of settled writes be gone, as they are after a minute: reads would be waited for."""
    await ledger.redis.delete(*(claim_key(claim_of(sandbox.base_url, each)) for each in ids))
