"""The command with a worker that others have started, and an API that is really asked."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from sandbox import Sandbox
from tests.harness.cluster import KEY


class DeployedCommand:
    """The command against one API, with a deployed worker. `rows` is the file that `run` submits, as JSONL."""

    def __init__(self, relabel: Callable[..., Awaitable[Any]], sandbox: Sandbox, folder: Path, rows: str = "") -> None:
        self._relabel = relabel
        self.sandbox = sandbox
        self.folder = folder
        self.rows = rows
        self.settings = {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": sandbox.base_url,
            "RELABEL_WORKER__CHILDREN": "1",
            "RELABEL_RATE__PER_MINUTE": "60000",
            "RELABEL_API__ATTEMPTS": "1",
            "RELABEL_JOB__SHARD_ROWS": "2",
            "XDG_STATE_HOME": str(folder / "state"),
        }

    async def __call__(self, *arguments: str, **settings: str) -> Any:
        """Run the command to its end."""
        return await self._relabel(*arguments, **(self.settings | settings))

    async def facts(self, *arguments: str, code: int = 0) -> Any:
        """Run the command with --json and return what it prints."""
        ended = await self(*arguments, "--json")
        assert ended.code == code, ended.err
        return json.loads(ended.out)

    def file(self, rows: str, name: str = "rows.jsonl") -> str:
        """Write a file and return its name."""
        (self.folder / name).write_text(rows)
        return name

    async def run(self, *options: str, rows: str = "", code: int = 0) -> str:
        """Have a file carried out and return the job's id; another test may have submitted the same."""
        facts = await self.facts("submit", self.file(rows or self.rows), "--wait", "--again", *options, code=code)
        return str(facts["job_id"])

    async def done(self, *arguments: str, code: int = 0) -> tuple[Any, str]:
        """Have the job that the command makes carried out; return its facts, and what is said of it."""
        made = await self.facts(*arguments)
        watched = await self("watch", made["job_id"])
        assert watched.code == code, watched.err
        return await self.facts("status", made["job_id"], code=code), watched.err


class Deploy(Protocol):
    """The fixture `deploy`: serves an API that stores some completions, and yields the command that asks it."""

    def __call__(
        self, stored: Mapping[str, Mapping[str, str]], ids: Iterable[str], *, rows: str = "", **settings: str
    ) -> AbstractAsyncContextManager[DeployedCommand]:
        """`ids` are those that the test writes to; the command runs with the settings beside its own."""
