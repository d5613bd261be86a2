"""The limits that calls share, in Redis: what each allows, its key, leases of its slots, and pauses after a 429."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.keys import JobKeys
from ledger.scripts import load_script
from ratelimit.headers import Remaining

HORIZON_S = 0.25
"""How far ahead slots are leased: a live change of the rate or a pause is in effect after this."""
FIRST_PAUSE_S = 0.5
"""First pause after a 429 without Retry-After (openai-python's first delay, contract section 2)."""
LONGEST_PAUSE_S = 30.0
"""Longest pause after 429s without Retry-After, one after the other, or because the API says that none is left."""


class Limit(NamedTuple):
    """A rate in requests a second, and the requests that may go at once."""

    rate: float
    burst: int

    @classmethod
    def per_minute(cls, requests: float, burst: int | None = None) -> Limit:
        """Return the limit of so many requests a minute; the burst is a tenth of a second's worth unless it is set."""
        rate = requests / 60
        return cls(rate, burst or max(1, int(rate / 10)))


class SharedLimit(NamedTuple):
    """The limit that calls share: its Redis key, and what it allows unless a rate was set live."""

    key: str
    limit: Limit


LIMIT_PREFIX = "relabel:limit:"


def limit_key(
    base_url: str, secret: str, organization: str | None, project: str | None, name: str | None = None
) -> str:
    """Return the Redis key of the limit that calls share; the API key itself cannot be read from it.

    The endpoint and `name`, else its `project`, identify the limit, so that it outlives a rotated key. Where neither is
    set, the key does.
    """
    parts: tuple[str, ...]
    if name:
        parts = ("name", base_url, name)
    elif project:
        parts = ("project", base_url, project)
    else:
        parts = (base_url, secret, organization or "", "")
    return f"{LIMIT_PREFIX}{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"


def rates_key(limit: str) -> str:
    """Return the key of a sorted set: `rate|burst` that workers on a limit ask for, by when one last did."""
    return f"{limit}:rates"


class RateStatus(NamedTuple):
    """The shared rate now: in force and asked for (requests a second), why it is lower, slots used in 5 s.

    `slowed_by` is `429`, `headers` or `failing`, '' where the rate is as asked for; `paused_by` is `rate_limited`,
    `used_up` or `failing`. `asks` are the different rates of living workers; the lowest holds, unless one was set live.
    `background` is what work in the background may have of the rate, `background_used` its part of the slots used.
    """

    paused_s: float = 0.0
    paused_by: str = ""
    rate: float = 0.0
    asked: float = 0.0
    slowed_by: str = ""
    used: float = 0.0
    asks: tuple[float, ...] = ()
    background: float = 0.0
    background_used: float = 0.0


class Grant(NamedTuple):
    """Slots of a lease, each in seconds from now; without any, the seconds until it is worth asking again."""

    slots: Sequence[float]
    ask_again_s: float
    status: RateStatus


class Limits:
    """The limits in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._acquire = load_script(redis, "acquire", package="ratelimit")
        self._pause = load_script(redis, "pause", package="ratelimit")

    async def acquire(
        self,
        want: int,
        shared: SharedLimit,
        *,
        job_id: str | None = None,
        remaining: Remaining | None = None,
        alive: bool = False,
        background: bool = False,
        answered: int = 0,
    ) -> Grant:
        """Lease up to `want` slots that keep both the shared limit and the job's own; with 0 only read the status.

        `remaining` is what the API's headers said last, `answered` how many answers other than 429 came since the last
        call. The rate of `shared` counts for all workers while its caller wants slots, or says that it is `alive`; not
        that of work in the `background`, which beside a job gets a tenth of the rate in force.
        """
        keys = [shared.key, rates_key(shared.key)]
        keys += [] if job_id is None else [JobKeys(job_id).limit, JobKeys(job_id).job]
        counts = int(alive or (want > 0 and not background))
        bounds = [want, HORIZON_S, *shared.limit, *(remaining or ("", "")), LONGEST_PAUSE_S, counts]
        bounds += [int(background), answered]
        answer = await self._acquire(keys, bounds)
        again, paused, code, rate, asked, slowed_by, used, asks, share, its_used, slots = answer
        status = RateStatus(
            paused_s=paused / 1e6,
            paused_by=code.decode(),
            rate=float(rate),
            asked=float(asked),
            slowed_by=slowed_by.decode(),
            used=used / 1e3,
            asks=tuple(sorted({float(each) for each in asks.split()})),
            background=float(share),
            background_used=its_used / 1e3,
        )
        return Grant([int(slot) / 1e6 for slot in slots.split()], again / 1e6, status)

    async def pause(self, key: str, retry_after: float | None, *, sent_s_ago: float = 0.0) -> float:
        """Pause and slow down all calls on the limit after a refused request; return the seconds to wait.

        They are `retry_after`, or longer each time. Refusals of requests sent before that count as the same one.
        """
        asked = "" if retry_after is None else retry_after
        return float(await self._pause([key], [asked, FIRST_PAUSE_S, LONGEST_PAUSE_S, sent_s_ago])) / 1e6
