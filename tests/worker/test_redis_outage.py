"""A step is repeated while Redis is unavailable, and a worker that is stopping tries it one last time."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.exceptions import ConnectionError as RedisAway

from worker.redis_outage import RedisOutage, retry_while_unavailable


async def test_the_result_comes_once_redis_answers(caplog):
    """One refusal, one line for the outage and one for its end."""
    answers = [RedisAway("away"), 7]

    async def step() -> int:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    with caplog.at_level("INFO"):
        assert await retry_while_unavailable(step) == 7

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_an_outage_that_several_steps_meet_is_logged_once(caplog):
    """All steps of a process meet the same outage: each fails once, then each succeeds."""
    tries: list[str] = []

    async def step(name: str) -> None:
        tries.append(name)
        await asyncio.sleep(0)
        if tries.count(name) == 1:
            raise RedisAway("away")

    with caplog.at_level("INFO"):
        await asyncio.gather(*(retry_while_unavailable(lambda name=name: step(name)) for name in ("a", "b", "c")))

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_try_from_before_the_last_change_says_nothing_new(caplog):
    """A late failure does not begin an outage anew, and an old answer does not end one."""
    outage = RedisOutage()
    before = time.monotonic()

    with caplog.at_level("INFO"):
        outage.begin(RedisAway("away"), tried_at=before)
        outage.end(tried_at=before)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        outage.end(tried_at=time.monotonic())
        outage.begin(RedisAway("away"), tried_at=before)

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_stopping_worker_tries_once_and_not_for_long():
    """A step that hangs ends with the bound of the last try; one that fails is not repeated."""
    tries = []

    async def hang() -> None:
        tries.append(1)
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await retry_while_unavailable(hang, stopping=lambda: True, last_try_s=0.01)

    assert len(tries) == 1


async def test_a_cancellation_that_the_step_swallowed_ends_the_retries():
    """As redis-py does before Python 3.12: the step answers a cancellation with a lost connection."""

    async def swallow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RedisAway("away") from None

    task = asyncio.create_task(retry_while_unavailable(swallow))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
