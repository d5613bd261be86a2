"""Tasks end although a library swallows cancellations."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from ledger.cancellation import end_tasks, is_cancelled, until_first


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


async def test_of_tasks_that_fail_together_the_first_is_heard_and_asyncio_logs_none():
    """Also of one that fails as it is ended; where one has ended well, the error of another is not raised."""
    logged = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context["message"]))

    async def fails(error):
        raise error

    async def fails_when_ended():
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError

    async def ends():
        return "well"

    with pytest.raises(ValueError, match="first"):
        await until_first(tasks_of(fails(ValueError("first")), fails(TypeError("second")), fails_when_ended()))
    await until_first(tasks_of(ends(), fails_when_ended()))

    gc.collect()
    assert logged == []


def tasks_of(*works):
    return [asyncio.create_task(work) for work in works]
