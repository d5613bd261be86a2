"""The loop of programs that have none."""

from __future__ import annotations

import asyncio

from relabel.loop_thread import LoopThread


def test_what_still_runs_when_it_is_closed_is_cancelled_and_cleans_up():
    """A task that is destroyed while it waits would say so on the program's standard error, and close nothing."""
    thread, ended = LoopThread(), []

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    async def start() -> asyncio.Task[None]:
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        return task

    task = thread.run(start())
    thread.close()

    assert (task.cancelled(), ended) == (True, ["cleaned up"])
    assert thread.loop.is_closed()
