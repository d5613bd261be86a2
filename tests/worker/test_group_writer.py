"""Things are written in groups, in order, and whoever waits for a group learns what became of it."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisAway

from worker.group_writer import GroupWriter


class Store:
    """A place to write to: it takes its time, and refuses what it was told to refuse."""

    def __init__(self, *refusals: Exception, one_by_one: bool = False) -> None:
        self.groups: list[list[int]] = []
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self._one_by_one = one_by_one
        self.open.set()
        self._refusals = list(refusals)

    async def write(self, group: list[int]) -> None:
        self.asked.set()
        await self.open.wait()
        if self._one_by_one:
            self.open.clear()
        if self._refusals:
            raise self._refusals.pop(0)
        self.groups.append(list(group))


def writer_to(store, *, linger_s=0.01, most=3):
    """A writer of small groups."""
    return GroupWriter(store.write, linger_s=linger_s, most=most)


async def test_everything_is_written_once_and_in_order():
    """Many adders, groups in the order of adding, nothing twice and nothing left."""
    store = Store()
    writer = writer_to(store)
    running = asyncio.create_task(writer.run())

    for number in range(50):
        writer.add(number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    writer.finish()
    await asyncio.wait_for(running, 5)

    assert [number for group in store.groups for number in group] == list(range(50))


async def test_a_full_group_does_not_linger():
    """With a long linger, a full group is written all the same."""
    store = Store()
    writer = writer_to(store, linger_s=60, most=3)
    running = asyncio.create_task(writer.run())

    written = [writer.add(number) for number in range(3)]
    await asyncio.wait_for(asyncio.gather(*written), 5)

    assert store.groups == [[0, 1, 2]]
    writer.finish()
    await asyncio.wait_for(running, 5)


async def test_a_lonely_thing_is_written_after_the_linger():
    """A group that never fills is not forgotten."""
    store = Store()
    writer = writer_to(store, linger_s=0.01, most=1000)
    running = asyncio.create_task(writer.run())

    await asyncio.wait_for(writer.add(1), 5)

    assert store.groups == [[1]]
    writer.finish()
    await asyncio.wait_for(running, 5)


async def test_what_is_added_during_a_write_waits_for_the_next_one():
    """The future of a thing is that of its own group, not of the one under way."""
    store = Store(one_by_one=True)
    writer = writer_to(store, most=1)
    running = asyncio.create_task(writer.run())
    store.open.clear()
    first = writer.add(1)
    await store.asked.wait()
    second = writer.add(2)

    store.open.set()
    await asyncio.wait_for(first, 5)
    assert store.groups == [[1]]
    assert not second.done()
    store.open.set()
    await asyncio.wait_for(second, 5)

    assert store.groups == [[1], [2]]
    writer.finish()
    await asyncio.wait_for(running, 5)


async def test_an_error_reaches_whoever_waits_and_ends_the_writer():
    """Nobody is left waiting for a group that was not written."""
    store = Store(ValueError("gone"))
    writer = writer_to(store)
    running = asyncio.create_task(writer.run())

    written = writer.add(1)

    with pytest.raises(ValueError, match="gone"):
        await asyncio.wait_for(asyncio.shield(written), 5)
    with pytest.raises(ValueError, match="gone"):
        await asyncio.wait_for(running, 5)


async def test_a_ledger_that_is_away_is_waited_for():
    """The group is written when the ledger is back, and not before it is said so."""
    store = Store(RedisAway("away"))
    writer = writer_to(store)
    running = asyncio.create_task(writer.run())

    await asyncio.wait_for(writer.add(1), 5)

    assert store.groups == [[1]]
    writer.finish()
    await asyncio.wait_for(running, 5)


async def test_finish_without_anything_ends_at_once():
    """A turn without rows writes nothing."""
    store = Store()
    writer = writer_to(store)
    running = asyncio.create_task(writer.run())

    writer.finish()
    await asyncio.wait_for(running, 5)

    assert store.groups == []


async def test_a_cancellation_that_the_client_swallows_ends_the_writer_all_the_same():
    """Before Python 3.12, `wait_for` swallows a cancellation that comes as its wait ends; redis-py uses it."""

    async def cancel_now():
        running.cancel()

    async def write(_group):
        await asyncio.wait_for(cancel_now(), 1)

    writer = GroupWriter(write, linger_s=0.001, most=1)
    running = asyncio.create_task(writer.run())

    writer.add(1)
    done, _ = await asyncio.wait([running], timeout=30)

    assert done
