"""An event loop in a thread of its own, for programs that have none, or have one that runs already (Jupyter)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from ledger.cancellation import end_tasks

T = TypeVar("T")


class LoopThread:
    """A running event loop; `close` ends it. The thread is a daemon, so that it never holds up the end of a program."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="relabel", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return its result; what interrupts the wait cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        except BaseException:
            if future.cancel():
                concurrent.futures.wait([future], timeout=1.0)
            raise

    def iterate(self, values: AsyncIterator[T]) -> Iterator[T]:
        """Yield the values of an asynchronous iterator, each in the thread that asks for it."""

        step: asyncio.Task[Any] | None = None

        async def following() -> tuple[T] | None:
            nonlocal step
            step = asyncio.current_task()
            async for value in values:
                return (value,)
            return None

        async def end() -> None:
            """End the last step first: an interrupt that comes before the wait for it leaves it running."""
            if step is not None:
                step.cancel()
                await asyncio.wait([step])
            if close := getattr(values, "aclose", None):
                await close()

        try:
            while (found := self.run(following())) is not None:
                yield found[0]
        finally:
            self.run(end())

    def close(self) -> None:
        """Cancel what still runs, and end the loop and its thread."""
        ended = asyncio.run_coroutine_threadsafe(self._end_tasks(), self.loop)
        concurrent.futures.wait([ended], timeout=5.0)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=5.0)
        if not self._thread.is_alive():
            self.loop.close()

    async def _end_tasks(self) -> None:
        await end_tasks(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
        await self.loop.shutdown_asyncgens()
