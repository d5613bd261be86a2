"""Tasks end although a library swallows cancellations."""

from __future__ import annotations

import asyncio
import contextlib

from ledger.cancellation import end_tasks, is_cancelled


async def test_tasks_that_lose_a_cancellation_or_two_are_ended_all_the_same():
    """Also one that only asks between its rounds, and one that had ended before."""
    lost = []

    async def loses(number):
        while len(lost) < number:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            lost.append(number)

    async def asks():
        while not is_cancelled():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    async def ends():
        return "well"

    tasks = [asyncio.create_task(task) for task in (loses(2), asks(), ends())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    await asyncio.wait_for(end_tasks(tasks), 60)

    assert all(task.done() for task in tasks)
    assert (lost, tasks[2].result()) == ([2, 2], "well")
