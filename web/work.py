"""Runs what takes long, such as checking a file or storing a job, in threads, so that other requests are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from config.settings import Settings
from relabel.session import Session, open_session
from web.refusals import Refusal

AT_ONCE = 4
"""Pieces of work that run at the same time."""
WAIT_S = 10.0
"""Time that a request waits for its turn."""

T = TypeVar("T")


class Work:
    """A few threads, each with an event loop and a connection of its own while it works."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self, user: str, use_case: Callable[[Session], Awaitable[T]]) -> T:
        """Run a use case for a caller.

        Raises:
            Refusal: as much as there may be is under way.

        """
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Refusal("busy", f"{AT_ONCE} submissions are under way.", retry_after_s=WAIT_S) from None
        working = asyncio.create_task(asyncio.to_thread(asyncio.run, self._in_session(user, use_case)))
        working.add_done_callback(lambda _: self._turns.release())
        return await asyncio.shield(working)  # a thread goes on where its caller leaves

    async def _in_session(self, user: str, use_case: Callable[[Session], Awaitable[T]]) -> T:
        async with open_session(self._settings) as session:
            return await use_case(session._replace(user=user, verified=True))
