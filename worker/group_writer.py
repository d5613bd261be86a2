"""Writes items to the ledger in groups, and waits while the ledger is unavailable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from ledger.cancellation import is_cancelled
from worker.redis_outage import retry_while_unavailable

T = TypeVar("T")


class GroupWriter(Generic[T]):
    """Collects items and writes them in groups, in order, from one task: `run`."""

    def __init__(self, write: Callable[[list[T]], Awaitable[object]], *, linger_s: float, most: int) -> None:
        self._write = write
        self._linger_s = linger_s
        self._most = most
        self._finishing = False
        self._group: list[T] = []
        self._some = asyncio.Event()
        self._due = asyncio.Event()
        self._written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, item: T) -> asyncio.Future[None]:
        """Add an item to the next group and return a future that ends when that group is written."""
        self._group.append(item)
        self._some.set()
        if len(self._group) >= self._most:
            self._due.set()
        return self._written

    async def run(self) -> None:
        """Write groups of up to `most` items, each within `linger_s` seconds, until `finish` was called.

        Raises:
            StateLost: the job is gone; the group's future raises it too.

        """
        while (self._group or not self._finishing) and not is_cancelled():
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._linger_s):
                    await self._due.wait()
            await self._write_group()

    def finish(self) -> None:
        """Make `run` write what is left and end."""
        self._finishing = True
        self._some.set()
        self._due.set()

    async def _write_group(self) -> None:
        group, written = self._group, self._written
        self._group, self._written = [], asyncio.get_running_loop().create_future()
        if not self._finishing:
            self._some.clear()
            self._due.clear()
        if not group:
            return
        try:
            await retry_while_unavailable(lambda: self._write(group))
        except Exception as error:
            written.set_exception(error)
            written.exception()  # nobody need be waiting
            raise
        written.set_result(None)
