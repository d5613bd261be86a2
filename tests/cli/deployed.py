"""The command with a worker that others have started, and an API that is really asked: for jobs of one file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.harness.planner import Planner


class DeployedCommand(Planner):
    """The command against one API, with deployed workers. `rows` is the file that `run` submits, as JSONL."""

    def __init__(self, relabel: Callable[..., Awaitable[Any]], sandbox: Sandbox, folder: Path, rows: str) -> None:
        super().__init__(relabel, sandbox, folder)
        self.rows = rows

    async def run(self, *options: str, rows: str = "", code: int = 0) -> str:
        """Have a file carried out and give the job's id; another test may have submitted the same."""
        facts = await self.facts("submit", self.file(rows or self.rows), "--wait", "--again", *options, code=code)
        return str(facts["job_id"])

    async def done(self, *arguments: str, code: int = 0) -> tuple[Any, str]:
        """Have the job that the command makes carried out; give its facts, and what is said of it."""
        made = await self.facts(*arguments)
        watched = await self("watch", made["job_id"])
        assert watched.code == code, watched.err
        return await self.facts("status", made["job_id"], code=code), watched.err
