"""A producer that is a process of its own, and so can be killed: submits rows and prints the job's id.

`python -m tests.harness.producer_process REDIS_URL TARGET ROWS SHARD_ROWS FOLDER`. Before it submits it says that it
is ready and waits for a line, so that two can start at the same instant.
"""

from __future__ import annotations

import asyncio
import functools
import json
import subprocess
import sys
from pathlib import Path

from ledger.connect import open_ledger
from ledger.ledger import Ledger
from producer.check import check_rows
from producer.submit import JobRequest, Submitted, submit
from tasks.announce import announce
from tasks.celery_app import make_app
from tests.harness.cluster import settings_for
from tests.harness.end_with_parent import end_with_parent
from tests.harness.rows import PatchRows


class ProducerProcess:
    """A process that is about to submit rows."""

    def __init__(self, redis_url: str, target: str, *, rows: int, shard_rows: int, folder: Path) -> None:
        arguments = [redis_url, target, str(rows), str(shard_rows), str(folder)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
        )

    def ready(self) -> None:
        """Wait until the rows are checked."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        """Let it submit."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def submitted(self) -> Submitted:
        """Wait for its end and give what it says."""
        said, _ = self.process.communicate(timeout=60)
        return Submitted(**json.loads(said))

    def kill(self) -> None:
        """SIGKILL, where it still runs, and close its pipes."""
        self.process.kill()
        self.process.communicate()


async def _submit(redis_url: str, target: str, rows: PatchRows, shard_rows: int, folder: Path) -> Submitted:
    order = JobRequest("test", rows.mode, True, target, shard_rows, 3600.0)
    with check_rows(rows, mode=rows.mode, spool_dir=folder) as checked:
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        async with open_ledger(redis_url) as redis:
            send = functools.partial(announce, make_app(settings_for(redis_url, target)))
            return await submit(checked, order, ledger=Ledger(redis), announce=send)


if __name__ == "__main__":
    url, api, number, cut, spool = sys.argv[1:]
    result = asyncio.run(_submit(url, api, PatchRows(int(number)), int(cut), Path(spool)))
    print(json.dumps(result._asdict()), flush=True)  # noqa: T201
