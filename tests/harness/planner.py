"""The command against an API that is really asked, with a deployed worker: for plans, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.harness.cluster import KEY


class Planner:
    """The command against one API, with a deployed worker; it takes a file of rows."""

    def __init__(self, relabel: Callable[..., Awaitable[Any]], sandbox: Sandbox, folder: Path) -> None:
        self._relabel = relabel
        self.sandbox = sandbox
        self.folder = folder
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
        """Run the command with --json and give what it prints."""
        ended = await self(*arguments, "--json")
        assert ended.code == code, ended.err
        return json.loads(ended.out)

    def file(self, rows: str, name: str = "rows.jsonl") -> str:
        """Write a file and give its name."""
        (self.folder / name).write_text(rows)
        return name
