"""A home for the command, and a server to call; each test ends with nothing left running."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.cli_process import CliProcess, Running
from tests.end_to_end.independent_server import IndependentServer

StartServer = Callable[..., Awaitable[IndependentServer]]
StartCelery = Callable[[], Awaitable[Running]]
WORKER = ("-A", "tasks.app", "worker", "--without-mingle")


@pytest.fixture
async def relabel(state_dir: Path) -> AsyncIterator[CliProcess]:
    """Run the command: `await relabel("run", file)`."""
    machine = CliProcess(state_dir)
    try:
        yield machine
        await machine.nothing_runs()
    finally:
        machine.kill_all()


@pytest.fixture
async def serve(relabel: CliProcess) -> AsyncIterator[StartServer]:
    """Start an API with the given completions, and let the command call it."""
    async with AsyncExitStack() as stack:

        async def start(completions: dict[str, dict[str, str]] | None = None, **options: Any) -> IndependentServer:
            server = await stack.enter_async_context(IndependentServer(completions or {}, **options))
            relabel.environment |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": server.key}
            return server

        yield start


@pytest.fixture
async def start_celery(relabel: CliProcess) -> AsyncIterator[StartCelery]:
    """Start a worker with the machine's environment; it ends in order with the test."""
    workers = []

    async def start() -> Running:
        worker = await relabel.start(*WORKER, program="celery")
        workers.append(worker)
        await worker.says(" ready.")
        return worker

    yield start
    for worker in workers:
        worker.send(signal.SIGTERM)
        assert (await worker.ended()).code == 0
