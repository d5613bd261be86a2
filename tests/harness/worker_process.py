"""A Celery worker as users start it, in a process group of its own, with its log in a file."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil

from config.environment import child_environment
from config.settings import Settings
from tests.harness.program import start_logged
from tests.harness.wait import wait_until

READY_S = 180.0


class WorkerProcess:
    """`celery -A tasks.app worker` with these settings."""

    def __init__(self, settings: Settings, *, name: str, folder: Path, options: Sequence[str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._children = settings.worker.children
        arguments = ["-A", "tasks.app", "worker", "--hostname", f"{name}@%h", *options]
        # what a child that is killed leaves behind goes with the folder
        environment = child_environment(settings) | {"TMPDIR": str(folder)}
        self._process = start_logged("celery", arguments, cwd=folder, env=environment, log=self.log)

    @property
    def pid(self) -> int:
        """The main process."""
        return self._process.pid

    async def ready(self) -> None:
        """Wait until it takes messages."""
        await wait_until(self._is_ready, within=READY_S, what=f"{self.name} is ready")

    def children(self) -> list[psutil.Process]:
        """The processes that carry out tasks."""
        try:
            return psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return []

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the main process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_all(self, number: signal.Signals) -> None:
        """Send a signal to the main process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL the main process and its children, and wait for their end."""
        self.send_all(signal.SIGKILL)
        self._process.wait()

    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """What is in its log."""
        return self.log.read_text(errors="replace")

    def _is_ready(self) -> bool:
        assert self.exit_code() is None, f"{self.name} ended: {self.said()[-2000:]}"
        return f"{self.name}@" in self.said() and " ready." in self.said()
