"""Stores notifications until they are delivered, so that none is lost with the worker that sends it."""

from __future__ import annotations

import contextlib
import logging
import math
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.job import Counts, JobState
from ledger.job_spec import Kind, Mode
from ledger.keys import NOTICES, NOTIFIER_LOCK, NOTIFY_SINCE, OUTBOX, OUTBOX_URGENT
from ledger.lock import Lock

LOCK_S = 8.0
"""Seconds until another worker takes over from one that died."""
KEEP_S = 7 * 86_400.0
"""Seconds that an outbox lives that no worker reads."""

log = logging.getLogger(__name__)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification reports of a job, as it was when it ended, paused or was held; times as UTC text."""

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


class RejectedFile(msgspec.Struct, frozen=True):
    """A file of the inbox that ended in `rejected/`, and why; `job_id` is None where no job was made of it."""

    name: str
    job_id: str | None
    reason: str


class NightFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification reports of a nightly run; `finished_at` is None where it needs attention.

    `held` are the first of the `held_files`, `rejected_files` the first of the `rejected`, `rows` the sum of its jobs.
    """

    timestamp: str
    date: str
    files: int
    jobs: int
    rejected: int
    held_files: int
    held: list[HeldFile]
    rejected_files: list[RejectedFile] = []
    rows: Counts | None = None
    started_at: str | None = None
    finished_at: str | None = None


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
    def is_urgent(self) -> bool:
        """Whether something waits for somebody, so that it goes before what is well."""
        if self.night is not None:
            return self.night.held_files > 0
        return self.facts is not None and self.facts.state in {JobState.PAUSED, JobState.HELD, JobState.LOST}

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


def _queue_of(notice: Notice) -> str:
    return OUTBOX_URGENT if notice.is_urgent else OUTBOX


def _notice(raw: bytes) -> Notice:
    try:
        notice = _new(raw)
        if notice.facts is None and notice.night is None:
            raise msgspec.ValidationError("it is about nothing")
        return notice
    except msgspec.ValidationError:
        old = _old(raw)
        return Notice(old.delivery_id, old.job_id, _facts(old.body), old.posted_at, old.tries)


class Backlog(NamedTuple):
    """How many notifications are undelivered, and when the oldest was posted (seconds since the epoch, 0 for none)."""

    number: int
    oldest_at: float


class Outbox:
    """The outbox of one ledger: what is urgent goes first."""

    _QUEUES = (OUTBOX_URGENT, OUTBOX)

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def post(self, notice: Notice) -> None:
        """Store a notification, to be delivered at once; one that is there already stays as it is."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.execute_command("HSETNX", NOTICES, notice.delivery_id, _encode(notice))
            pipe.zadd(_queue_of(notice), {notice.delivery_id: notice.posted_at}, nx=True)
            for key in (NOTICES, *self._QUEUES):
                pipe.pexpire(key, int(KEEP_S * 1000))
            await pipe.execute()

    async def waiting(self) -> int:
        """Return the number of undelivered notifications."""
        return sum([int(await self._redis.zcard(queue)) for queue in self._QUEUES])

    async def is_served(self) -> bool:
        """Return whether workers send notifications, or did so within the last day."""
        return bool(await self._redis.exists(NOTIFY_SINCE))

    async def backlog(self) -> Backlog:
        """Return how many notifications are undelivered, and since when; those that cannot be read count as none."""
        packed: list[Any] = await self._redis.hvals(NOTICES)
        posted = []
        for raw in packed:
            with contextlib.suppress(msgspec.MsgspecError):
                posted.append(_notice(raw).posted_at)
        return Backlog(len(posted), min(posted, default=0.0))

    async def due(self, now: float, *, most: int) -> list[Notice]:
        """Return up to `most` notifications whose next try is due at `now` (epoch seconds), urgent ones first."""
        names: list[Any] = []
        for queue in self._QUEUES:
            names += await self._redis.zrangebyscore(queue, "-inf", now, start=0, num=most)
        return await self._read_all(names[:most])

    async def next(self) -> list[Notice]:
        """Return the notification that is tried next, whether or not it is due, in a list; none where none waits."""
        return await self.due(math.inf, most=1)

    async def hurry(self, now: float) -> None:
        """Let all that wait for another try be due now."""
        for queue in self._QUEUES:
            names: list[Any] = await self._redis.zrangebyscore(queue, f"({now}", "+inf")
            if names:
                await self._redis.zadd(queue, dict.fromkeys(names, now), xx=True)

    async def _read_all(self, names: list[Any]) -> list[Notice]:
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
            for queue in self._QUEUES:  # it is in one of them; release one had no second
                pipe.zadd(queue, {notice.delivery_id: at}, xx=True)
            await pipe.execute()

    async def remove(self, notice: Notice) -> None:
        """Remove a notification: it was delivered or is dropped."""
        await self._remove(notice.delivery_id)

    async def _remove(self, name: str | bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            for queue in self._QUEUES:
                pipe.zrem(queue, name)
            pipe.execute_command("HDEL", NOTICES, name)
            await pipe.execute()

    def lock(self) -> Lock:
        """Return the lock of the worker that delivers."""
        return Lock(self._redis, NOTIFIER_LOCK, life_s=LOCK_S)
