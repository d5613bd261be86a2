"""The shared rate as people see and set it, live."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio import Redis

from config.settings import Settings
from ledger.errors import NoSuchJob
from ledger.keys import LIMITS
from ledger.ledger import Ledger
from ledger.scripts import Argument, load_script
from ratelimit.limiter import Limit, Limits, Standing, limit_key

USED_OVER_S = 5.0
"""Seconds that `Standing.used` is about (`lua/acquire.lua`, WINDOW)."""
LIVE_KEEP_S = 366 * 86_400
"""Life of a rate that was set live and that nobody uses: long enough to count as kept."""
USED_KEEP_S = 7 * 86_400
"""Life of a limit that nobody uses, as in `lua/acquire.lua` (KEEP)."""
MOST_LIMITS = 20
"""Limits that are shown, the latest used: one endpoint and project is usual, a few are possible."""
PAUSES = ("rate_limited", "failing", "used_up")
"""What pauses a limit: 429s, a failing endpoint, the API's word that no request is left."""


def limit_of(settings: Settings, secret: str) -> tuple[str, Limit]:
    """Return the Redis key of the limit that calls with these settings and this API key share, and what it allows."""
    key = limit_key(
        settings.openai_base_url, secret, settings.openai_org_id, settings.openai_project_id, settings.rate.name
    )
    return key, Limit.per_minute(settings.rate.per_minute, settings.rate.burst)


class SharedRate:
    """The limit of one endpoint and project, with what the settings say of it."""

    def __init__(self, redis: Redis, *, key: str, limit: Limit) -> None:
        self._redis = redis
        self._key = key
        self._limit = limit
        self._limits = Limits(redis)
        self._set = load_script(redis, "set_rate", package="ratelimit")

    async def look(self) -> tuple[Standing, float | None, int | None]:
        """Give the rate as it stands, and the rate and burst that were set live; no slot is used."""
        standing = (await self._limits.acquire(0, (self._key, self._limit))).standing
        rate, burst = await self._redis.hmget(self._key, ["rate", "burst"])
        return standing, None if rate is None else float(rate), None if burst is None else int(burst)

    async def set(self, rate: float | None, burst: int | None) -> None:
        """Set the rate, the burst, or both for all workers, in effect within a second and until `reset`.

        A rate without a burst brings its own, as in the settings.
        """
        limit = None if rate is None else Limit.per_minute(rate * 60)
        args: list[Argument] = ["" if limit is None else limit.rate, burst or (limit.burst if limit else "")]
        await self._set([self._key], [*args, LIVE_KEEP_S * 1000])

    async def reset(self) -> None:
        """Go back to the settings, and forget what self-correction learned."""
        await self._set([self._key], ["", "", LIVE_KEEP_S * 1000])


class LimitSeen(NamedTuple):
    """A limit that workers use: its name without the prefix, the host it is for, what the settings say, how it stands.

    `paused_s` gives the seconds that it was paused in all, by what paused it; a pause counts in full when it begins.
    """

    name: str
    endpoint: str
    configured: Limit
    standing: Standing
    paused_s: dict[str, float]


async def note_use(redis: Redis, key: str, limit: Limit, *, endpoint: str) -> None:
    """Leave word of a limit that is used, for those who watch without having its key."""
    seconds, _ = await redis.time()
    fields: dict[Any, Any] = {
        "host": urlsplit(endpoint).netloc,
        "configured": str(limit.rate),
        "configured_burst": str(limit.burst),
    }
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(key, mapping=fields)
        pipe.expire(key, USED_KEEP_S, nx=True)
        pipe.zadd(LIMITS, {key: seconds})
        pipe.zremrangebyscore(LIMITS, "-inf", seconds - USED_KEEP_S)
        pipe.expire(LIMITS, USED_KEEP_S)
        await pipe.execute()


async def limits_in_use(redis: Redis) -> list[LimitSeen]:
    """Give the limits that workers used in the last week, the latest used first; no slot is used."""
    seen = []
    names: list[Any] = await redis.zrevrange(LIMITS, 0, MOST_LIMITS - 1)
    for key in (name.decode() for name in names):
        facts: list[Any] = await redis.hmget(
            key, ["host", "configured", "configured_burst", *(f"paused_s:{code}" for code in PAUSES)]
        )
        host, rate, burst, *paused = facts
        if host is None or rate is None or burst is None:
            continue
        limit = Limit(float(rate), int(burst))
        standing = (await Limits(redis).acquire(0, (key, limit))).standing
        paused_s = {code: float(number or 0) for code, number in zip(PAUSES, paused, strict=True)}
        seen.append(LimitSeen(key.rpartition(":")[2], host.decode(), limit, standing, paused_s))
    return seen


class RateSeen(NamedTuple):
    """The shared rate in requests a minute: by the settings, set live (None: not), in force, and why.

    `slowed_by` and `paused_by` are as in `ledger.job.Waits`; `paused_until` is in seconds since the epoch. Where living
    workers are set to different rates (`worker_rates_per_minute`), the lowest of them holds, unless one was set live.
    """

    configured_per_minute: float
    configured_burst: int
    live_per_minute: float | None
    live_burst: int | None
    asked_per_minute: float
    in_force_per_minute: float
    slowed_by: str
    used_per_minute: float
    paused_s: float
    paused_until: float | None
    paused_by: str
    worker_rates_per_minute: list[float]


async def look_at_rate(settings: Settings, ledger: Ledger) -> RateSeen:
    """Give the rate of the endpoint, key, organisation and project that these settings name."""
    _, limit = configured_limit(settings)
    standing, live_rate, live_burst = await _shared(settings, ledger).look()
    now = await ledger.jobs.now()
    return RateSeen(
        configured_per_minute=settings.rate.per_minute,
        configured_burst=limit.burst,
        live_per_minute=None if live_rate is None else live_rate * 60,
        live_burst=live_burst,
        asked_per_minute=standing.asked * 60,
        in_force_per_minute=standing.rate * 60,
        slowed_by=standing.slowed_by,
        used_per_minute=standing.used / USED_OVER_S * 60,
        paused_s=standing.paused_s,
        paused_until=now + standing.paused_s if standing.paused_s else None,
        paused_by=standing.paused_by,
        worker_rates_per_minute=[round(rate * 60, 6) for rate in standing.asks],
    )


async def set_rate(settings: Settings, ledger: Ledger, *, per_minute: float | None, burst: int | None) -> None:
    """Set the rate, the burst or both, for all workers and until it is reset."""
    await _shared(settings, ledger).set(None if per_minute is None else per_minute / 60, burst)


async def reset_rate(settings: Settings, ledger: Ledger) -> None:
    """Let the workers' settings count again."""
    await _shared(settings, ledger).reset()


async def jobs_on(settings: Settings, ledger: Ledger) -> list[str]:
    """Give the ids of the jobs under way that call the endpoint of these settings, and so share its rate."""
    found = []
    for job_id in await ledger.jobs.active():
        with contextlib.suppress(NoSuchJob):
            if (await ledger.jobs.get(job_id)).spec.target == settings.openai_base_url:
                found.append(job_id)
    return found


def configured_limit(settings: Settings) -> tuple[str, Limit]:
    """Return the Redis key of the limit that workers with these settings share, and what it allows."""
    return limit_of(settings, settings.openai_api_key.get_secret_value() if settings.openai_api_key else "")


def _shared(settings: Settings, ledger: Ledger) -> SharedRate:
    key, limit = configured_limit(settings)
    return SharedRate(ledger.redis, key=key, limit=limit)
