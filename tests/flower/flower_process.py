"""Flower as users start it: `celery -A tasks.app flower`, on a port that is free."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.harness.program import start_logged
from tests.harness.wait import wait_until

READY_S, END_S = 60.0, 20.0
ROOT = Path(__file__).parents[2]
_VISIT = re.compile(r"Visit me at (http://\S+)")


class FlowerProcess:
    """A Flower that runs, with its log in a file."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self._log = folder / "flower.log"
        self._log.unlink(missing_ok=True)
        arguments = ["-A", "tasks.app", "flower", "--port=0", *options]
        self._process = start_logged("celery", arguments, cwd=folder, env=environment(**settings), log=self._log)

    async def url(self) -> str:
        """Wait until it listens; give where."""

        def told() -> str:
            assert self._process.poll() is None, f"Flower ended: {self.said()}"
            found = _VISIT.search(self.said())
            return found[1] if found else ""

        return await wait_until(told, within=READY_S, what="Flower listens")

    def said(self) -> str:
        """What is in its log."""
        return self._log.read_text(errors="replace")

    def end(self) -> int:
        """SIGTERM; give its exit code."""
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self._process.send_signal(signal.SIGKILL)
        return self._process.wait()


async def refusal(folder: Path, options: Sequence[str], **settings: str) -> tuple[int, str]:
    """Start a Flower that is to refuse; give its exit code and what it said."""
    flower = FlowerProcess(folder, *options, **settings)
    await wait_until(lambda: flower._process.poll() is not None, within=READY_S, what="Flower has ended")
    return flower.end(), flower.said()


def environment(**settings: str) -> dict[str, str]:
    """The environment without the settings of this machine, but with these."""
    of_this_machine = ("RELABEL_", "OPENAI_", "FLOWER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(of_this_machine)}
    return kept | {"PYTHONPATH": str(ROOT)} | settings
