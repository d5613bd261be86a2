"""The living workers, as their heartbeats show them: what each says of itself, and which of them take shards."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.clock import server_time
from ledger.keys import WORKER_FACTS, WORKER_STARTS, WORKERS
from ledger.scripts import load_script
from ledger.snapshot import as_hash, read_together

HEARTBEAT_KEEP_S = 15.0
"""Age at which a silent worker no longer counts."""
WORKERS_KEEP_S = 7 * 86_400
"""Life of the list of workers once none of them is left: so long it is known since when."""


STARTS_OVER_S = 900
"""Age at which a start of a worker no longer counts."""
STARTS_KEEP_S = 86_400
"""Age at which it is forgotten: so long it is known since when a worker has been started again and again."""
MOST_STARTS = 1000
"""Starts that are kept, the latest."""


class Aside(enum.StrEnum):
    """Why a worker takes no shards; '' where it takes them."""

    NO = ""
    KEY_REFUSED = "key_refused"
    RELEASE_ONE = "release_one"


class WorkerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself.

    `start` names this start of it, `up_s` is for how many seconds it has run since; `key` is a fingerprint of the key
    that it sent last, '' before the first; `settings` are those that all workers must have alike, by the name of the
    variable, without what is not set.
    """

    host: str = ""
    version: str = ""
    base_url: str = ""
    key: str = ""
    start: str = ""
    up_s: float = 0.0
    aside: Aside = Aside.NO
    settings: dict[str, str] = {}


class LivingWorker(NamedTuple):
    """A worker that beats: its name, as Celery has it, its children, and its facts; release one gave none.

    `beat_at` is when it gave its last sign of life, in seconds since the epoch by the server's clock.
    """

    name: str
    children: int
    facts: WorkerFacts | None
    beat_at: float = 0.0

    @property
    def takes_shards(self) -> bool:
        """Whether it takes shards."""
        return self.facts is None or self.facts.aside is Aside.NO

    @property
    def key_refused(self) -> bool:
        """Whether it takes no shards, as the API refuses its key."""
        return self.facts is not None and self.facts.aside is Aside.KEY_REFUSED


class Workers:
    """The heartbeats of the workers of one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._beat = load_script(redis, "beat")

    async def beat(self, worker: str, children: int, facts: WorkerFacts | None = None) -> None:
        """Record that the worker is alive, how many children it has, and what it says of itself."""
        facts = facts or WorkerFacts()
        start = f"{worker}|{facts.start}" if facts.start else ""
        await self._beat(
            [WORKERS, WORKER_FACTS, WORKER_STARTS],
            [
                f"{worker}|{children}",
                msgspec.json.encode(facts),
                HEARTBEAT_KEEP_S,
                WORKERS_KEEP_S,
                start,
                facts.up_s,
                STARTS_KEEP_S,
                MOST_STARTS,
            ],
        )

    async def living(self) -> list[LivingWorker]:
        """Return the living workers."""
        return living_in(*await read_together(self._redis, LIVING_READS))

    async def call(self, target: str) -> bool:
        """Return whether a living worker that takes shards calls the API at this URL."""
        return any(
            worker.takes_shards and worker.facts is not None and worker.facts.base_url == target
            for worker in await self.living()
        )

    async def last_beat_at(self) -> float | None:
        """Return when a worker was last alive, in seconds since the epoch; None where none was within a week."""
        last: Any = await self._redis.zrange(WORKERS, 0, 0, desc=True, withscores=True)
        return float(last[0][1]) if last else None

    async def starts(self) -> Counter[str]:
        """Return how often each worker was started within the last quarter of an hour, by its name."""
        now = await server_time(self._redis)
        recent: list[Any] = await self._redis.zrangebyscore(WORKER_STARTS, now - STARTS_OVER_S, "+inf")
        return Counter(member.decode().rpartition("|")[0] for member in recent)

    async def start_times(self) -> dict[str, list[float]]:
        """Return when each worker was started within the last day, in seconds since the epoch, the first one first."""
        starts: list[Any] = await self._redis.zrange(WORKER_STARTS, 0, -1, withscores=True)
        found: dict[str, list[float]] = {}
        for member, at in starts:
            found.setdefault(member.decode().rpartition("|")[0], []).append(float(at))
        return found

    async def children(self) -> list[int]:
        """Return the number of children of each living worker that takes shards."""
        return [worker.children for worker in await self.living() if worker.takes_shards]


LIVING_READS = ((WORKERS, "ZRANGE 0 -1 WITHSCORES"), (WORKER_FACTS, "HGETALL"))
"""What `ledger.snapshot.read_together` reads for `living_in`."""


def living_in(answers: Sequence[Any], now: float) -> list[LivingWorker]:
    """Return the living workers in the answers to `LIVING_READS`, given at `now`."""
    known, facts = map(as_hash, answers)
    since = int(now) - HEARTBEAT_KEEP_S
    return [_living(name, facts.get(name), at) for name, at in known.items() if float(at) >= since]


def of_release_one(workers: Iterable[LivingWorker]) -> list[str]:
    """Return the names of the workers that are of release one, which cannot share jobs with later ones."""
    return sorted(worker.name for worker in workers if worker.facts is None)


def _living(member: bytes, packed: Any, beat_at: bytes) -> LivingWorker:
    name, _, children = member.decode().rpartition("|")
    return LivingWorker(name, int(children), _facts(packed), float(beat_at))


def _facts(packed: Any) -> WorkerFacts | None:
    try:
        return None if packed is None else msgspec.json.decode(packed, type=WorkerFacts)
    except msgspec.MsgspecError:  # somebody else wrote it
        return WorkerFacts()
