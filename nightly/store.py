"""The nightly runs in Redis: one a date, however often it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import msgspec
from redis.asyncio import Redis

from config.text import REASON_CHARS, sanitize
from ledger.audit import WHO_CHARS
from ledger.clock import server_time
from ledger.keys import HELD_NIGHTS, NIGHTLY_LOCK, NIGHTLY_SCHEDULE, NIGHTLY_TICK, NIGHTS, OPEN_NIGHTS, night_key
from ledger.lock import Lock
from nightly.state import FileState, Night, NightFile, NightState

KEEP_S = 90 * 86_400.0
"""Life of a run in the ledger, in seconds."""
LATE_S = 900.0
"""Time after it was due at which a run that has not begun counts as missed."""
LOCK_S = 8.0
"""Life of the lock of a worker that died while it carried a run on."""
_NIGHT = b"night"
_FILE = b"file:"

_night = msgspec.json.Decoder(Night).decode
_file = msgspec.json.Decoder(NightFile).decode
_encode = msgspec.json.Encoder().encode


class Scheduled(Protocol):
    """What a schedule is here; `config.schedule.Schedule` is one."""

    @property
    def cron(self) -> str:
        """The cron line."""

    @property
    def time_zone(self) -> str:
        """Its time zone."""

    def until(self, at: float) -> tuple[str, float]:
        """Return the date and the moment of the last run that was due by then."""


class Begun(NamedTuple):
    """A run, and whether it is new."""

    night: Night
    new: bool


class Nights:
    """The nightly runs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, date: str, *, asked_by: str, overlap: str) -> Begun:
        """Create the run of a date unless there is one; where another is open, `overlap` has it queue or be skipped."""
        now = await server_time(self._redis)
        state, reason = NightState.RUNNING, ""
        if others := [night for night in await self.open() if night.date != date]:
            state = NightState.WAITING if overlap == "queue" else NightState.SKIPPED
            reason = f"the run of {others[-1].date} has not ended"
        ended_at = now if state.ended else None
        asked = Night(
            date=date,
            state=state,
            started_at=now,
            ended_at=ended_at,
            reason=reason,
            asked_by=sanitize(asked_by, WHO_CHARS),
        )
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hsetnx(night_key(date), _NIGHT.decode(), _encode(asked).decode())
            pipe.pexpire(night_key(date), int(KEEP_S * 1000), nx=True)
            pipe.zadd(NIGHTS, {date: now}, nx=True)
            pipe.zremrangebyscore(NIGHTS, "-inf", now - KEEP_S)
            pipe.sadd(OPEN_NIGHTS, date)
            new = bool((await pipe.execute())[0])
        night = await self.get(date)
        if night is None:
            raise AssertionError("a run that was just written is there")
        if night.state.ended:
            await self._redis.srem(OPEN_NIGHTS, date)
        return Begun(night, new)

    async def reopen(self, night: Night) -> None:
        """Reopen a run that has ended, so that it takes what is new in the inbox, too."""
        await self._redis.sadd(OPEN_NIGHTS, night.date)
        await self.put(msgspec.structs.replace(night, state=NightState.RUNNING, ended_at=None, reason="", inbox=""))

    async def put(self, night: Night, files: Iterable[NightFile] = (), *, forget: Iterable[NightFile] = ()) -> None:
        """Store the run, beside its entries; of those it stores `files` and deletes `forget`."""
        fields: dict[Any, Any] = {_FILE + file.name.encode(): _packed(file) for file in files}
        async with self._redis.pipeline(transaction=True) as pipe:
            for file in forget:
                pipe.hdel(night_key(night.date), _FILE.decode() + file.name)
            pipe.hset(night_key(night.date), mapping=fields | {_NIGHT: _packed_night(night)})
            if night.state.ended:
                pipe.srem(OPEN_NIGHTS, night.date)
            if night.state is NightState.NEEDS_ATTENTION:
                pipe.sadd(HELD_NIGHTS, night.date)
            elif night.state.ended:
                pipe.srem(HELD_NIGHTS, night.date)
            await pipe.execute()

    async def put_file(self, date: str, file: NightFile) -> None:
        """Store the state of a file."""
        await self._redis.hset(night_key(date), _FILE + file.name.encode(), _packed(file))

    async def get(self, date: str) -> Night | None:
        """Return the run of a date, None where there is none."""
        fields: dict[Any, Any] = await self._redis.hgetall(night_key(date))
        if _NIGHT not in fields:
            return None
        entries = [_file(value) for name, value in sorted(fields.items()) if name.startswith(_FILE)]
        return msgspec.structs.replace(_night(fields[_NIGHT]), entries=entries)

    async def last(self) -> Night | None:
        """Return the run that began last, None where there was none."""
        dates: list[Any] = await self._redis.zrevrange(NIGHTS, 0, 0)
        return await self.get(dates[0].decode()) if dates else None

    async def latest(self, number: int, *, before: str = "") -> list[Night]:
        """Return the latest runs, newest first; `before` only those that began before the run of that date."""
        place: Any = await self._redis.zrevrank(NIGHTS, before) if before else None
        first = 0 if place is None else place + 1
        dates: list[Any] = await self._redis.zrevrange(NIGHTS, first, first + number - 1)
        found = [await self.get(date.decode()) for date in dates]
        return [night for night in found if night is not None]

    async def open(self) -> list[Night]:
        """Return the runs that have not ended, by date; those that are gone or have ended after all are forgotten."""
        found = []
        for date in sorted(raw.decode() for raw in await self._redis.smembers(OPEN_NIGHTS) if isinstance(raw, bytes)):
            night = await self.get(date)
            if night is None or night.state.ended:
                await self._redis.srem(OPEN_NIGHTS, date)
            else:
                found.append(night)
        return found

    async def held(self) -> list[Night]:
        """Return the runs of which a file waits for somebody's yes, by date; the others are forgotten."""
        found = []
        for date in sorted(raw.decode() for raw in await self._redis.smembers(HELD_NIGHTS) if isinstance(raw, bytes)):
            night = await self.get(date)
            if night is None or not night.of(FileState.HELD):
                await self._redis.srem(HELD_NIGHTS, date)
            else:
                found.append(night)
        return found

    async def missed(self, schedule: Scheduled) -> str | None:
        """Return the date whose run should have begun by now and has not, None where there is none.

        Nothing is missed that was due before beat or a worker was first started with this schedule.
        """
        noted: list[Any] = await self._redis.hmget(NIGHTLY_SCHEDULE, ["line", "since"])
        line, since = noted
        if line is None or since is None or line.decode() != _line(schedule):
            return None
        date, due_at = schedule.until(await server_time(self._redis) - LATE_S)
        return date if due_at >= float(since) and not await self._redis.exists(night_key(date)) else None

    async def note_beat(self, schedule: Scheduled) -> None:
        """Store the schedule that beat was started with."""
        await self._redis.hset(NIGHTLY_SCHEDULE, "beat", _line(schedule))
        await self.note_schedule(schedule)
        await self.note_beat_alive()

    async def note_beat_alive(self) -> None:
        """Store that beat is alive."""
        await self._redis.hset(NIGHTLY_SCHEDULE, "beat_at", str(await server_time(self._redis)))

    async def beat_seen_at(self) -> float | None:
        """Return when beat was last alive, in seconds since the epoch, None where it never was."""
        seen: Any = await self._redis.hget(NIGHTLY_SCHEDULE, "beat_at")
        return None if seen is None else float(seen)

    async def beat_schedule(self) -> tuple[str, str] | None:
        """Return the cron line and the time zone that beat was last started with, None where it never was."""
        return _parts(await self._redis.hget(NIGHTLY_SCHEDULE, "beat"))

    async def note_schedule(self, schedule: Scheduled, *, instead: bool = True) -> None:
        """Store the schedule that beat or a worker was started with, and since when; `instead` replaces another one."""
        line: Any = await self._redis.hget(NIGHTLY_SCHEDULE, "line")
        if line is None or (instead and line.decode() != _line(schedule)):
            noting: dict[Any, Any] = {"line": _line(schedule), "since": await server_time(self._redis)}
            await self._redis.hset(NIGHTLY_SCHEDULE, mapping=noting)

    async def noted_schedule(self) -> tuple[str, str] | None:
        """Return the cron line and the time zone that beat or a worker was last started with, None where none was."""
        return _parts(await self._redis.hget(NIGHTLY_SCHEDULE, "line"))

    def lock(self) -> Lock:
        """Return the lock of those who carry runs on."""
        return Lock(self._redis, NIGHTLY_LOCK, life_s=LOCK_S)

    async def try_schedule_tick(self, then_quiet_s: float) -> bool:
        """Return whether to ask a worker to carry runs on; if so, nobody else asks for `then_quiet_s` seconds."""
        return bool(await self._redis.set(NIGHTLY_TICK, "1", nx=True, px=int(then_quiet_s * 1000)))

    async def snooze(self, seconds: float) -> None:
        """Have nobody ask a worker to carry runs on for so many seconds."""
        await self._redis.set(NIGHTLY_TICK, "1", px=int(seconds * 1000))


def _line(schedule: Scheduled) -> str:
    return f"{schedule.cron} {schedule.time_zone}"


def _parts(line: Any) -> tuple[str, str] | None:
    if line is None:
        return None
    cron, _, time_zone = line.decode().rpartition(" ")
    return cron, time_zone


def _packed_night(night: Night) -> bytes:
    """Return the run without its files, which have fields of their own."""
    return _encode(msgspec.structs.replace(night, entries=[]))


def _packed(file: NightFile) -> bytes:
    """Return a file with its reason bounded; its name stays exact, as the file is found by it."""
    return _encode(msgspec.structs.replace(file, reason=sanitize(file.reason, REASON_CHARS)))
