"""Notices a cancellation that a library swallowed."""

from __future__ import annotations

import asyncio


def is_cancelled() -> bool:
    """Tell whether this task was told to end; a loop that nothing else ends asks it on each round.

    Before Python 3.12, `asyncio.wait_for` swallows a cancellation that comes just as its wait ends
    (python/cpython#86296), and redis-py waits so while it sends each command.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
