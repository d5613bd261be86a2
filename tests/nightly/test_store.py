"""One run a date, and which night was missed."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from ledger.keys import HELD_NIGHTS, NIGHTLY_SCHEDULE, NIGHTS, OPEN_NIGHTS, night_key
from nightly.state import FileState, NightFile, NightState
from nightly.store import KEEP_S, LATE_S, Nights


class Daily:
    """A schedule of which one run was due `ago_s` seconds ago, and one each day before."""

    cron, time_zone = "30 2 * * *", "UTC"

    def __init__(self, now: float, ago_s: float) -> None:
        self._due = now - ago_s

    def until(self, at: float) -> tuple[str, float]:
        """Return the last date and moment; the date is the number of days back."""
        days = -(-(self._due - at) // 86_400) if self._due > at else 0
        return f"{int(days)} days back", self._due - days * 86_400


@pytest.fixture
def nights(redis) -> Nights:
    return Nights(redis)


async def now(redis) -> float:
    seconds, _ = await redis.time()
    return float(seconds)


async def test_however_often_a_run_is_asked_for_there_is_one_a_date(nights, redis):
    """Also at the same instant; it does not stay for ever."""
    begun = await asyncio.gather(
        *(nights.begin("2026-11-25", asked_by=f"beat {number}", overlap="skip") for number in range(8))
    )

    assert [each.new for each in begun].count(True) == 1
    assert {each.night.started_at for each in begun} == {begun[0].night.started_at}
    assert (await nights.last()).date == "2026-11-25"
    assert 0 < await redis.pttl(night_key("2026-11-25")) <= KEEP_S * 1000
    assert await redis.zcard(NIGHTS) == 1


async def test_a_date_that_had_its_run_is_not_open_again_because_somebody_asks(nights):
    """An ended run stays ended."""
    night = (await nights.begin("2026-11-25", asked_by="schedule", overlap="skip")).night
    skipped = (await nights.begin("2026-11-26", asked_by="schedule", overlap="skip")).night
    assert skipped.state is NightState.SKIPPED

    again = await nights.begin("2026-11-26", asked_by="schedule", overlap="queue")

    assert (again.new, again.night.state) == (False, NightState.SKIPPED)
    assert [each.date for each in await nights.open()] == [night.date]


async def test_a_run_that_is_gone_is_in_nobody_s_way(nights, redis):
    """Nor one that died between being skipped and being taken off the open ones."""
    await nights.begin("2026-11-24", asked_by="schedule", overlap="skip")
    await redis.delete(night_key("2026-11-24"))

    night = (await nights.begin("2026-11-25", asked_by="schedule", overlap="skip")).night

    assert night.state is NightState.RUNNING
    assert await redis.smembers(OPEN_NIGHTS) == {b"2026-11-25"}


async def test_a_night_is_missed_once_it_is_late_and_has_no_run(nights, redis):
    """And not any more when it has one after all, or was skipped."""
    schedule = Daily(await now(redis), LATE_S + 60)
    await nights.note_schedule(schedule)
    await redis.hset(NIGHTLY_SCHEDULE, "since", str(await now(redis) - 7200))

    assert await nights.missed(schedule) == "0 days back"
    assert await nights.missed(Daily(await now(redis), LATE_S - 60)) is None, "it may still come"
    await nights.begin("0 days back", asked_by="schedule", overlap="skip")
    assert await nights.missed(schedule) is None


async def test_nothing_is_missed_that_was_due_before_anybody_had_the_schedule(nights, redis):
    """Neither in a new installation nor after the schedule was changed."""
    schedule = Daily(await now(redis), LATE_S + 60)
    assert await nights.missed(schedule) is None

    await nights.note_schedule(schedule)
    assert await nights.missed(schedule) is None
    await redis.hset(NIGHTLY_SCHEDULE, mapping={"line": "0 4 * * * UTC", "since": "1"})
    await nights.note_schedule(schedule, instead=False)
    assert await nights.missed(schedule) is None, "a worker that was started long ago does not know better"
    await nights.note_schedule(schedule)
    assert float(await redis.hget(NIGHTLY_SCHEDULE, "since")) > 1


async def test_the_files_of_a_run_are_stored_beside_it(nights, redis):
    """Each in a field of its own, as release one stored them, so that a file is updated without the others."""
    night = (await nights.begin("2026-11-25", asked_by="schedule", overlap="skip")).night
    file = NightFile(name="a.csv", state=FileState.TAKEN, size=1, changed_ns=1, taken_at=1.0)
    await nights.put(msgspec.structs.replace(night, inbox="id"), [file])
    await nights.put(await nights.get("2026-11-25"))

    stored = await redis.hgetall(night_key("2026-11-25"))

    assert "entries" not in json.loads(stored[b"night"])
    assert set(stored) == {b"night", b"file:a.csv"}
    assert (await nights.get("2026-11-25")).entries == [file]


async def test_a_run_whose_held_files_are_decided_is_held_no_more(nights, redis):
    """Else it would count as lost where Redis comes back empty later."""
    night = (await nights.begin("2026-11-25", asked_by="schedule", overlap="skip")).night
    await nights.put(msgspec.structs.replace(night, state=NightState.NEEDS_ATTENTION))
    assert await redis.smembers(HELD_NIGHTS) == {b"2026-11-25"}

    await nights.put(msgspec.structs.replace(night, state=NightState.FINISHED))

    assert await redis.exists(HELD_NIGHTS) == 0
