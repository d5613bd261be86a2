"""Jobs of a selection, for which a worker reads the list of completions before there are rows: where each stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.errors import LeaseLost
from ledger.job_spec import JobSpec
from ledger.keys import JobKeys
from ledger.lock import Lock
from ledger.scripts import Argument, load_script

LOCK_S = 15.0
"""Life of a reader's lock after its last word: so long the list of a worker that died waits for another one."""
MOST_CRASHES = 4
"""Workers in a row that may die at a list without a page being kept, as at a shard (`lua/rescue.lua`)."""
MESSAGE_LOST_S = 30.0
"""Seconds after which a message that asks for a reader counts as lost."""
PAGES_TOGETHER = 20


class ListRead(msgspec.Struct, frozen=True, kw_only=True):
    """How far the reading of the list is: completions read and matched, those left out by reason, requests, seconds.

    `share` is the part of the time span that was read, None where that is not known. `doubts` are sentences on what
    could not be seen for sure; `waits_for` is what the API refused a page with that is tried again, '' for none.
    """

    read: int = 0
    matched: int = 0
    left_out: dict[str, int] = {}
    requests: int = 0
    seconds: float = 0.0
    share: float | None = None
    doubts: list[str] = []
    waits_for: str = ""


class JobSelection(msgspec.Struct, frozen=True, kw_only=True):
    """What a job selects, as somebody asked for it; how far that is, and whether it is done.

    `read_at` is when a page was read last, or the reading began, in seconds since the epoch. `idle_since` is since when
    no worker reads, where that is longer than a worker's death and a lost message take to be noticed; else None.
    """

    asked: dict[str, Any]
    found: ListRead
    is_read: bool
    read_at: float
    idle_since: float | None = None


class Reading(NamedTuple):
    """A reading as a worker finds it. `mark` is where it stands (None: at the beginning), `pages` how many are kept.

    `asked` is what to select, as JSON. `adopted` tells that the job has its rows, and is only to be opened.
    """

    asked: bytes
    mark: bytes | None
    pages: int
    adopted: bool
    read_at: float


class ReaderCrashed(Exception):
    """Workers died at the list time and again."""


def selection_of(fields: dict[bytes, bytes], *, has_reader: bool, now: float) -> JobSelection | None:
    """Return what a job selects by the fields of its hash; None for a job of other rows."""
    asked = fields.get(b"selection")
    if asked is None:
        return None
    return JobSelection(
        asked=msgspec.json.decode(asked, type=dict[str, Any]),
        found=msgspec.json.decode(fields.get(b"found", b"{}"), type=ListRead),
        is_read=b"adopted" in fields,
        read_at=float(fields.get(b"read_at", 0)),
        idle_since=None if has_reader else _idle_since(fields, now),
    )


def _idle_since(fields: dict[bytes, bytes], now: float) -> float | None:
    since = max(float(fields.get(name, 0)) for name in (b"read_at", b"seen_at"))
    is_to_be_read = b"reading" in fields and fields.get(b"state") == b"submitting"
    return since if is_to_be_read and now - since > LOCK_S + MESSAGE_LOST_S else None


class ListReads:
    """The readings in one ledger. What a worker calls with its lock has no effect once another one has that."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._begin = load_script(redis, "begin_reading")
        self._keep = load_script(redis, "keep_page")
        self._leave = load_script(redis, "leave_reading")
        self._call = load_script(redis, "call_reader")
        self._adopt = load_script(redis, "adopt_rows")

    def lock(self, job_id: str) -> Lock:
        """Return the lock of who reads the list for a job; one for each reading."""
        return Lock(self._redis, JobKeys(job_id).reader, life_s=LOCK_S)

    async def should_call(self, job_id: str) -> bool:
        """Return whether a message is to be sent that asks workers to read the list for a job."""
        keys = JobKeys(job_id)
        return bool(await self._call([keys.job, keys.reader], [MESSAGE_LOST_S]))

    async def begin(self, job_id: str, lock: Lock) -> Reading | None:
        """Begin to read, or go on; None where there is nothing to read.

        Raises:
            ReaderCrashed: workers died at it time and again.

        """
        keys = JobKeys(job_id)
        answer = await self._begin([keys.job, keys.reader], [lock.owner, MOST_CRASHES])
        if answer == 0:
            return None
        if answer != 1:
            raise ReaderCrashed
        fields: list[Any] = await self._redis.hmget(keys.job, ["selection", "mark", "adopted", "read_at"])
        asked, mark, adopted, read_at = fields
        if asked is None or read_at is None:
            return None
        pages = int(await self._redis.llen(keys.selected))
        return Reading(asked, mark, pages, adopted is not None, float(read_at))

    async def keep(self, job_id: str, lock: Lock, found: ListRead, *, mark: bytes, page: bytes, pages: int) -> None:
        """Keep what was taken of a page (b'' for nothing), after so many pages; safe to repeat.

        Raises:
            LeaseLost: another worker reads, or the job is paused, cancelled or gone.

        """
        keys = JobKeys(job_id)
        args: list[Argument] = [lock.owner, msgspec.json.encode(found), mark, page, pages]
        if not await self._keep([keys.job, keys.reader, keys.selected], args):
            raise LeaseLost

    async def note(self, job_id: str, lock: Lock, found: ListRead) -> None:
        """Record how far the reading is, without a page; as `keep`."""
        await self.keep(job_id, lock, found, mark=b"", page=b"", pages=0)

    async def leave(self, job_id: str, lock: Lock) -> bool:
        """Hand the reading over to another worker, without a crash; return whether anything is left to be read."""
        keys = JobKeys(job_id)
        return bool(await self._leave([keys.job, keys.reader], [lock.owner]))

    async def pages(self, job_id: str) -> AsyncIterator[bytes]:
        """Yield what was kept of each page, in order."""
        at = 0
        while True:
            pages: list[Any] = await self._redis.lrange(JobKeys(job_id).selected, at, at + PAGES_TOGETHER - 1)
            for page in pages:
                yield page
            at += len(pages)
            if len(pages) < PAGES_TOGETHER:
                return

    async def adopt(self, draft_id: str, spec: JobSpec, lock: Lock) -> None:
        """Replace a job without rows by `spec`, with the rows that were stored under the id of a draft.

        Raises:
            LeaseLost: as `keep`.

        """
        keys, draft = JobKeys(spec.job_id), JobKeys(draft_id)
        pairs = [
            (draft.shards, keys.shards),
            (draft.waiting, keys.waiting),
            (draft.rejected, keys.rejected),
            (draft.unsent, keys.unsent),
        ]
        touched = [keys.job, keys.reader, keys.counts, keys.outcomes, keys.times, keys.selected, keys.series]
        packed = msgspec.json.encode(spec)
        args: list[Argument] = [lock.owner, packed, spec.rows, spec.rejected, spec.folded, spec.unchanged]
        if not await self._adopt([*touched, *(key for pair in pairs for key in pair)], args):
            raise LeaseLost
