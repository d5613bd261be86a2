"""Ends tasks for good, though redis-py may swallow a cancellation.

Before Python 3.12, `asyncio.wait_for` loses one that comes just as its wait ends (python/cpython#86296), and redis-py
waits so while it sends each command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Any

CANCEL_AGAIN_S = 0.02
"""How soon a task that lives on is cancelled once more."""


def is_cancelled() -> bool:
    """Return whether this task was cancelled; a loop that nothing else ends checks it on each round."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def raise_if_cancelled() -> None:
    """Raise the cancellation of this task where it was swallowed, as the end of a bound of time may be."""
    if is_cancelled():
        raise asyncio.CancelledError


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all of them have ended."""
    alive = {task for task in tasks if not task.done()}
    while alive:
        for task in alive:
            task.cancel()
        _, alive = await asyncio.wait(alive, timeout=CANCEL_AGAIN_S)


async def until_first(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until one of the tasks ends, then end the others; raise the error of one that ended by itself.

    The errors of all are looked at, as asyncio logs one that nobody has seen.
    """
    done, errors = set[asyncio.Task[Any]](), dict[asyncio.Task[Any], BaseException | None]()
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(tasks)
        errors = {task: task.exception() for task in tasks if not task.cancelled()}
    for task, error in errors.items():
        if error is not None and task in done:
            raise error
