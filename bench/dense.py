"""A merge of rows that lie side by side in the list, which a probe lets pages of the list read ahead.

The sandbox serves it, as nginx has no list; like nginx, it is not counted.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.command import run
from bench.contenders import Measured, ours, settings
from bench.stage import Stage

_RUN = itertools.count()


class DenseMerge:
    """Measures a merge of as many completions as the sandbox has: each run sets another value."""

    def __init__(self, on: Stage, base_url: str, rows: int) -> None:
        self._on, self._base_url, self._rows = on, base_url, rows

    def __call__(self) -> Measured:
        """Probe the service, find its completions, and measure the job alone."""
        environment = settings(self._base_url, self._on.redis) | {"RELABEL_STATE_DIR": str(self._on.folder / "probe")}
        file = self._on.folder / f"dense-{next(_RUN)}.jsonl"
        run("cli.main", "select", "--set", f"checked={file.stem}", "-o", str(file), environment=environment)
        run("cli.main", "probe", _first_id(file), "--yes", environment=environment)
        measured = ours(file, self._rows, self._base_url, self._on.redis)
        file.unlink()
        return measured


@contextmanager
def dense_merge(on: Stage, rows: int) -> Iterator[DenseMerge]:
    """Serve so many completions, and yield what measures a merge of them all."""
    options = ("--merge", "--completions", str(rows), "--log-limit", "1")
    command = [sys.executable, "-W", "ignore", "-m", "cli.main", "sandbox", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield DenseMerge(on, process.stdout.readline().split()[-1], rows)
        finally:
            process.terminate()


def _first_id(file: Path) -> str:
    with file.open("rb") as lines:
        return str(msgspec.json.decode(next(lines))["completion_id"])
