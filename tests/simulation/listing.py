"""The list of completions as a simulation has it, and a worker's turn at reading it, as `tasks.selection` takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from pydantic import SecretStr

from completions.list_page import Listed
from completions.list_place import Cursor
from completions.listing import ReadPage
from config.settings import Settings
from ledger.ledger import Ledger
from tasks.selection import Reader
from tasks.shard import Process as TaskProcess
from tests.simulation.server import BEGIN
from tests.simulation.service import BASE_URL, Metadata

LISTED = [f"chatcmpl-{letter}" for letter in "abc"]
"""What is stored, as the list has it: the newest first."""
LIST = -1
"""Stands for the number of a shard in a message that asks for a reader."""
PAGE_S = 0.4
"""Seconds that a page of one completion takes."""
TURN_S = 0.5
"""Seconds of a turn: two pages."""
SETTINGS = Settings(_env_file=None, OPENAI_BASE_URL=BASE_URL, OPENAI_API_KEY=SecretStr("sk-simulation"))

Held = Callable[[str], Metadata]


class PagedList:
    """Reads the list from a place in it, a completion a page; `held` returns what a completion holds."""

    def __init__(self, cursor: Cursor | None, held: Held) -> None:
        self._held = held
        self._at = cursor.read if cursor else 0
        self.requests = 0

    async def pages(self) -> AsyncGenerator[ReadPage, None]:
        """Yield the pages that are left."""
        for at in range(self._at, len(LISTED)):
            await asyncio.sleep(PAGE_S)
            self.requests += 1
            created = int(BEGIN) - at
            item = Listed(LISTED[at], created, "gpt-4o", self._held(LISTED[at]))
            cursor = Cursor("desc", began=int(BEGIN), created=created, read=at + 1, ended=at + 1 == len(LISTED))
            yield ReadPage([item], cursor, 1)


@asynccontextmanager
async def open_paged_list(*_: object, held: Held, cursor: Cursor | None, **__: Any) -> AsyncIterator[PagedList]:
    """Open the list at a place in it."""
    yield PagedList(cursor, held)


def new_reader(worker: str, ledger: Ledger, job_id: str, held: Held) -> Reader:
    """Return the turn of this worker at the list; `held` returns what a completion holds."""
    process = TaskProcess(SETTINGS)
    process.standby.worker = worker
    opener = partial(open_paged_list, held=held)
    return Reader(SETTINGS, process, ledger, job_id, turn_s=TURN_S, open_list=opener)
