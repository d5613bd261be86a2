"""Ends exchanges that take too long, with one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Deadlines:
    """The deadlines of all exchanges of a process, `seconds` after each began.

    A timer for each of them would cost a tenth of a request. Nearly all exchanges end long before theirs, so one timer
    wakes for the earliest, and finds it gone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[asyncio.Transport, float] = {}
        self._late: set[asyncio.Transport] = set()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watch(self, stream: asyncio.Transport, *, since: float) -> Iterator[None]:
        """Cut the connection where the block, which began at `since` on the loop's clock, takes too long.

        Raises:
            TimeoutError: it was cut.

        """
        due = since + self._seconds
        self._open[stream] = due
        if self._timer is None or due < self._timer.when():
            self._wake_at(due)
        try:
            yield
        except Exception as error:
            if stream in self._late:
                raise TimeoutError from error
            raise
        else:
            if stream in self._late:  # a body that ends with the connection seemed whole
                raise TimeoutError
        finally:
            del self._open[stream]
            self._late.discard(stream)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._cut)

    def _cut(self) -> None:
        """Cut all that are late, and wake again for the next one."""
        now = asyncio.get_running_loop().time()
        self._timer = None
        for stream, due in self._open.items():
            if due <= now:
                self._late.add(stream)
                stream.abort()
        if left := [due for stream, due in self._open.items() if stream not in self._late]:
            self._wake_at(min(left))
