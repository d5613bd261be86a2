"""Stores notifications until they are delivered, so that none is lost with the worker that sends it."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from redis.asyncio import Redis

from ledger.job import Counts, JobState, Kind, Mode
from ledger.keys import NOTICES, NOTIFIER_LOCK, OUTBOX
from ledger.lock import Lock

LOCK_S = 8.0
"""Seconds until another worker takes over from one that died."""
KEEP_S = 7 * 86_400.0
"""Seconds that an outbox lives that no worker reads."""

log = logging.getLogger(__name__)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification reports of a job, as it was when it ended or paused; times as UTC text."""

    timestamp: str
    job_id: str
    name: str
    kind: Kind
    parent: str | None
    mode: Mode
    state: JobState
    reason: str | None
    reason_code: str | None
    rows: Counts
    submitted_at: str
    finished_at: str | None


class HeldFile(msgspec.Struct, frozen=True):
    """A file of the inbox whose job waits for somebody's yes, and why."""

    name: str
    job_id: str
    reason: str


class NightFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification reports of a nightly run that needs attention; `held` are the first of the `held_files`."""

    timestamp: str
    date: str
    files: int
    jobs: int
    rejected: int
    held_files: int
    held: list[HeldFile]


class Notice(msgspec.Struct, frozen=True):
    """A notification of a job, or of a nightly run. `posted_at` is seconds since the epoch.

    It holds facts, not the body: whoever can write to Redis cannot have a text of theirs signed by a worker.
    """

    delivery_id: str
    job_id: str
    facts: Facts | None
    posted_at: float
    tries: int = 0
    night: NightFacts | None = None

    @property
    def subject(self) -> str:
        """What it is about, for the log."""
        return f"Nightly run of {self.night.date}" if self.night else f"Job {self.job_id}"


class _ReleaseOne(msgspec.Struct, frozen=True):
    """A notification as release one stored it: `body` is the JSON that was to be sent, with the facts in it."""

    delivery_id: str
    job_id: str
    body: bytes
    posted_at: float
    tries: int = 0


_new = msgspec.msgpack.Decoder(Notice).decode
_old = msgspec.msgpack.Decoder(_ReleaseOne).decode
_facts = msgspec.json.Decoder(Facts).decode
_encode = msgspec.msgpack.Encoder().encode


def _notice(raw: bytes) -> Notice:
    try:
        notice = _new(raw)
        if notice.facts is None and notice.night is None:
            raise msgspec.ValidationError("it is about nothing")
        return notice
    except msgspec.ValidationError:
        old = _old(raw)
        return Notice(old.delivery_id, old.job_id, _facts(old.body), old.posted_at, old.tries)


class Outbox:
    """The outbox of one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def post(self, notice: Notice) -> None:
        """Store a notification, to be delivered at once; one that is there already stays as it is."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.execute_command("HSETNX", NOTICES, notice.delivery_id, _encode(notice))
            pipe.zadd(OUTBOX, {notice.delivery_id: notice.posted_at}, nx=True)
            for key in (NOTICES, OUTBOX):
                pipe.pexpire(key, int(KEEP_S * 1000))
            await pipe.execute()

    async def waiting(self) -> int:
        """Return the number of undelivered notifications."""
        return int(await self._redis.zcard(OUTBOX))

    async def due(self, now: float, *, most: int) -> list[Notice]:
        """Return up to `most` notifications whose next try is due at `now` (epoch seconds), the oldest first."""
        names: list[Any] = await self._redis.zrangebyscore(OUTBOX, "-inf", now, start=0, num=most)
        if not names:
            return []
        packed: list[Any] = await self._redis.hmget(NOTICES, names)
        return [notice for name, raw in zip(names, packed, strict=True) if (notice := await self._read(name, raw))]

    async def _read(self, name: bytes, raw: bytes | None) -> Notice | None:
        try:
            return None if raw is None else _notice(raw)
        except msgspec.MsgspecError:  # no worker wrote this; it must not block the others
            log.error("a notification in the outbox cannot be read; it is removed")
            await self._remove(name)
            return None

    async def later(self, notice: Notice, at: float) -> None:
        """Schedule the next try at `at`, in seconds since the epoch."""
        tried = msgspec.structs.replace(notice, tries=notice.tries + 1)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.execute_command("HSET", NOTICES, notice.delivery_id, _encode(tried))
            pipe.zadd(OUTBOX, {notice.delivery_id: at}, xx=True)
            await pipe.execute()

    async def remove(self, notice: Notice) -> None:
        """Remove a notification: it was delivered or is dropped."""
        await self._remove(notice.delivery_id)

    async def _remove(self, name: str | bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(OUTBOX, name)
            pipe.execute_command("HDEL", NOTICES, name)
            await pipe.execute()

    def lock(self) -> Lock:
        """Return the lock of the worker that delivers."""
        return Lock(self._redis, NOTIFIER_LOCK, life_s=LOCK_S)
