"""The worker that `run` brings along: a Celery worker of its own, ended with the command."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.environment import child_environment
from config.errors import SettingsError
from config.settings import Settings
from embedded.private import make_private, open_private
from relabel.errors import WorkerDied

STOP_S = 12.0
"""How long a worker gets to finish the rows in flight; it promises 10 s."""
RESTARTS = 3
"""How often a worker that ends by itself is started again in one run."""
_TAIL_BYTES = 2000


class WorkerProcess:
    """One worker process with its children, its log in a file."""

    def __init__(self, settings: Settings, log: Path, keep_open: tuple[int, ...]) -> None:
        self._settings = settings
        self._log = log
        self._keep_open = keep_open
        self._process = self._start()

    async def watch(self) -> None:
        """Start the worker again when it ends by itself, a few times.

        Raises:
            WorkerDied: it would not live.

        """
        for _ in range(RESTARTS):
            await self._ended()
            self._process = self._start()
        await self._ended()
        raise WorkerDied(f"the worker ended by itself {RESTARTS + 1} times, see {self._log}: {self._tail()}")

    async def stop(self) -> None:
        """Let the rows in flight end, then the worker; after `STOP_S` it is killed."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._ended()
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """End the worker and its children at once."""
        self._signal(signal.SIGKILL, group=True)
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with open_private(self._log) as log:
            return subprocess.Popen(  # noqa: S603 - our own module, by this very interpreter
                [sys.executable, "-m", "tasks.run_worker", str(os.getpid())],
                env=child_environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, which then ends the worker in order
                pass_fds=self._keep_open,
            )

    def _signal(self, number: int, *, group: bool = False) -> None:
        if self._process.poll() is None:
            (os.killpg if group else os.kill)(self._process.pid, number)

    async def _ended(self) -> None:
        while self._process.poll() is None:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(0.05)

    def _tail(self) -> str:
        lines = self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(nothing was logged)"


@asynccontextmanager
async def worker_process(settings: Settings, *, keep_open: tuple[int, ...]) -> AsyncIterator[WorkerProcess]:
    """Run a worker for as long as the block runs; what `keep_open` holds stays open in it."""
    folder = settings.state_folder
    try:
        make_private(folder)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be used ({error.strerror}); set RELABEL_STATE_DIR.") from error
    worker = WorkerProcess(settings, folder / "worker.log", keep_open)
    try:
        yield worker
        await worker.stop()
    finally:
        worker.kill()
