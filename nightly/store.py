"""The nightly runs: one a date, whoever asks for it how often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import msgspec
from redis.asyncio import Redis

from config.text import REASON_CHARS, sanitize
from ledger.audit import WHO_CHARS
from ledger.clock import server_time
from ledger.keys import NIGHTLY_LOCK, NIGHTLY_NUDGE, NIGHTLY_SCHEDULE, NIGHTS, OPEN_NIGHTS, night_key
from ledger.lock import Lock
from nightly.state import Night, NightFacts, NightFile, NightState

KEEP_S = 90 * 86_400.0
"""Life of a run in the ledger."""
LATE_S = 900.0
"""Time after it was due at which a run that has not begun counts as missed."""
LOCK_S = 8.0
"""Life of the lock of a worker that died while it carried a run on."""
_FACTS = b"night"
_FILE = b"file:"

_facts = msgspec.json.Decoder(NightFacts).decode
_file = msgspec.json.Decoder(NightFile).decode
_encode = msgspec.json.Encoder().encode


class Scheduled(Protocol):
    """A schedule, as `config.schedule.Schedule` is one."""

    @property
    def cron(self) -> str:
        """The cron line."""

    @property
    def time_zone(self) -> str:
        """Its time zone."""

    def until(self, at: float) -> tuple[str, float]:
        """Give the last date and moment that has come by then."""


class Begun(NamedTuple):
    """A run, and whether it is new."""

    night: Night
    new: bool


class Nights:
    """The nightly runs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, date: str, *, asked_by: str, overlap: str) -> Begun:
        """Make the run of a date unless there is one; `overlap` says what becomes of it while another is open."""
        now = await server_time(self._redis)
        state, reason = NightState.RUNNING, ""
        if others := [night for night in await self.open() if night.date != date]:
            state = NightState.WAITING if overlap == "queue" else NightState.SKIPPED
            reason = f"the run of {others[-1].date} has not ended"
        ended_at = now if state.ended else None
        facts = NightFacts(
            date=date,
            state=state,
            started_at=now,
            ended_at=ended_at,
            reason=reason,
            asked_by=sanitize(asked_by, WHO_CHARS),
        )
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hsetnx(night_key(date), _FACTS.decode(), _encode(facts).decode())
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

    async def reopen(self, facts: NightFacts) -> None:
        """Let a run that has ended take what is new in the inbox, too."""
        await self._redis.sadd(OPEN_NIGHTS, facts.date)
        await self.put(msgspec.structs.replace(facts, state=NightState.RUNNING, ended_at=None, reason="", inbox=""))

    async def put(
        self, facts: NightFacts, files: Iterable[NightFile] = (), *, forget: Iterable[NightFile] = ()
    ) -> None:
        """Write down how a run stands, with some of its files; `forget` others."""
        fields: dict[Any, Any] = {_FILE + file.name.encode(): _packed(file) for file in files}
        async with self._redis.pipeline(transaction=True) as pipe:
            for file in forget:
                pipe.hdel(night_key(facts.date), _FILE.decode() + file.name)
            pipe.hset(night_key(facts.date), mapping=fields | {_FACTS: _encode(facts)})
            if facts.state.ended:
                pipe.srem(OPEN_NIGHTS, facts.date)
            await pipe.execute()

    async def put_file(self, date: str, file: NightFile) -> None:
        """Write down how a file stands."""
        await self._redis.hset(night_key(date), _FILE + file.name.encode(), _packed(file))

    async def get(self, date: str) -> Night | None:
        """Give the run of a date, None where there is none."""
        fields: dict[Any, Any] = await self._redis.hgetall(night_key(date))
        if _FACTS not in fields:
            return None
        entries = [_file(value) for name, value in sorted(fields.items()) if name.startswith(_FILE)]
        return Night(facts=_facts(fields[_FACTS]), entries=entries)

    async def last(self) -> Night | None:
        """Give the run that began last, None where there was none."""
        dates: list[Any] = await self._redis.zrevrange(NIGHTS, 0, 0)
        return await self.get(dates[0].decode()) if dates else None

    async def open(self) -> list[Night]:
        """Give the runs that have not ended, by date; those that are gone or have ended after all are forgotten."""
        found = []
        for date in sorted(raw.decode() for raw in await self._redis.smembers(OPEN_NIGHTS) if isinstance(raw, bytes)):
            night = await self.get(date)
            if night is None or night.state.ended:
                await self._redis.srem(OPEN_NIGHTS, date)
            else:
                found.append(night)
        return found

    async def missed(self, schedule: Scheduled) -> str | None:
        """Give the date whose run should have begun by now and has not, None where all is well.

        Nothing is missed that was due before beat or a worker was first started with this schedule.
        """
        noted: list[Any] = await self._redis.hmget(NIGHTLY_SCHEDULE, ["line", "since"])
        line, since = noted
        if line is None or since is None or line.decode() != _line(schedule):
            return None
        date, due_at = schedule.until(await server_time(self._redis) - LATE_S)
        return date if due_at >= float(since) and not await self._redis.exists(night_key(date)) else None

    async def note_schedule(self, schedule: Scheduled, *, instead: bool = True) -> None:
        """Remember the schedule that beat or a worker was started with, and since when; `instead` of another one."""
        line: Any = await self._redis.hget(NIGHTLY_SCHEDULE, "line")
        if line is None or (instead and line.decode() != _line(schedule)):
            noting: dict[Any, Any] = {"line": _line(schedule), "since": await server_time(self._redis)}
            await self._redis.hset(NIGHTLY_SCHEDULE, mapping=noting)

    async def noted_schedule(self) -> tuple[str, str] | None:
        """Give the cron line and the time zone that beat or a worker was last started with, None where none was."""
        line: Any = await self._redis.hget(NIGHTLY_SCHEDULE, "line")
        if line is None:
            return None
        cron, _, time_zone = line.decode().rpartition(" ")
        return cron, time_zone

    def lock(self) -> Lock:
        """Give the lock of those who carry runs on."""
        return Lock(self._redis, NIGHTLY_LOCK, life_s=LOCK_S)

    async def try_schedule_tick(self, then_quiet_s: float) -> bool:
        """Tell whether to send for a worker to carry runs on; if so, nobody else does for so long."""
        return bool(await self._redis.set(NIGHTLY_NUDGE, "1", nx=True, px=int(then_quiet_s * 1000)))

    async def quiet(self, seconds: float) -> None:
        """Let nobody send for a worker for so long."""
        await self._redis.set(NIGHTLY_NUDGE, "1", px=int(seconds * 1000))


def _line(schedule: Scheduled) -> str:
    return f"{schedule.cron} {schedule.time_zone}"


def _packed(file: NightFile) -> bytes:
    """Pack a file; its name stays exact, as it is found by it."""
    return _encode(msgspec.structs.replace(file, reason=sanitize(file.reason, REASON_CHARS)))
