"""The command with a worker that others have started, and an API that is really asked."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.harness.cluster import KEY


class DeployedCommand:
    """The command against one API, with deployed workers. `rows` is the file that `run` submits, as JSONL."""

    def __init__(self, relabel: Callable[..., Awaitable[Any]], sandbox: Sandbox, folder: Path, rows: str) -> None:
        self._relabel = relabel
        self.sandbox = sandbox
        self.folder = folder
        self._rows = rows
        self.settings = {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": sandbox.base_url,
            "RELABEL_WORKER__CHILDREN": "1",
            "RELABEL_RATE__PER_MINUTE": "60000",
            "RELABEL_API__ATTEMPTS": "1",
            "XDG_STATE_HOME": str(folder / "state"),
        }

    async def __call__(self, *arguments: str, **settings: str) -> Any:
        """Run the command to its end."""
        return await self._relabel(*arguments, **(self.settings | settings))

    async def facts(self, *arguments: str, code: int = 0) -> Any:
        """Run the command with --json and give what it prints."""
        ended = await self(*arguments, "--json")
        assert ended.code == code, ended.err
        return json.loads(ended.out)

    async def run(self, *options: str, rows: str = "", code: int = 0) -> str:
        """Have a file carried out and give the job's id; another test may have submitted the same."""
        (self.folder / "rows.jsonl").write_text(rows or self._rows)
        facts = await self.facts("submit", "rows.jsonl", "--wait", "--again", *options, code=code)
        return str(facts["job_id"])

    async def done(self, *arguments: str, code: int = 0) -> tuple[Any, str]:
        """Have the job that the command makes carried out; give its facts, and what is said of it."""
        made = await self.facts(*arguments)
        watched = await self("watch", made["job_id"])
        assert watched.code == code, watched.err
        return await self.facts("status", made["job_id"], code=code), watched.err
