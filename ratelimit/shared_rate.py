"""The shared rate as it is set live, and the limits in use."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio import Redis

from config.settings import Settings
from ledger.audit import audit_entry
from ledger.errors import NoSuchJob
from ledger.keys import LIMITS, JobKeys
from ledger.ledger import Ledger
from ledger.scripts import load_script
from ratelimit.breaker import failing_s
from ratelimit.limits import LIMIT_PREFIX, Limit, Limits, RateStatus, SharedLimit, limit_key

USED_OVER_S = 5.0
"""Seconds that `RateStatus.used` is about (`lua/acquire.lua`, WINDOW)."""
LIVE_KEEP_S = 366 * 86_400
"""Life of a rate that was set live and that nobody uses: long enough to count as kept."""
USED_KEEP_S = 7 * 86_400
"""Life of a limit that nobody uses, as in `lua/acquire.lua` (KEEP)."""
MOST_LIMITS = 20
"""Limits that are shown, the latest used: one endpoint and project is usual, a few are possible."""
PAUSES = ("rate_limited", "failing", "used_up")
"""What pauses a limit: 429s, a failing endpoint, headers that say that no request is left."""


def shared_limit(settings: Settings, secret: str | None = None) -> SharedLimit:
    """Return the limit that calls with these settings share; `secret` is the API key if it is not the settings' own."""
    if secret is None:
        secret = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    key = limit_key(
        settings.openai_base_url, secret, settings.openai_org_id, settings.openai_project_id, settings.rate.name
    )
    return SharedLimit(key, Limit.per_minute(settings.rate.per_minute, settings.rate.burst))


def endpoint_of(settings: Settings) -> str:
    """Return the name under which the keys that the endpoint accepted are kept: the same whatever the key."""
    return shared_limit(settings, "").key.rpartition(":")[2]


class RateNote(NamedTuple):
    """What the audit logs of some jobs say of a change of the rate: who made it, and what it is."""

    by: str
    why: str
    jobs: Sequence[str] = ()


class SharedRate:
    """The limit of one endpoint and project, with what the settings say of it."""

    def __init__(self, redis: Redis, shared: SharedLimit) -> None:
        self._redis = redis
        self._shared = shared
        self._limits = Limits(redis)
        self._set = load_script(redis, "set_rate", package="ratelimit")

    async def read(self) -> tuple[RateStatus, float | None, int | None]:
        """Return the status of the rate, and the rate and burst that were set live; no slot is used."""
        status = (await self._limits.acquire(0, self._shared)).status
        rate, burst = await self._redis.hmget(self._shared.key, ["rate", "burst"])
        return status, None if rate is None else float(rate), None if burst is None else int(burst)

    async def set(self, rate: float | None, burst: int | None, noted: RateNote) -> None:
        """Set the rate (requests a second), the burst, or both for all workers, in effect within a second.

        It lasts until `reset`. A rate without a burst brings its own, as in the settings.
        """
        limit = None if rate is None else Limit.per_minute(rate * 60)
        await self._write("" if limit is None else limit.rate, burst or (limit.burst if limit else ""), noted)

    async def reset(self, noted: RateNote) -> None:
        """Reset the rate to the settings, and forget what self-correction learned."""
        await self._write("", "", noted)

    async def _write(self, rate: float | str, burst: int | str, noted: RateNote) -> None:
        logs = [key for keys in map(JobKeys, noted.jobs) for key in (keys.job, keys.audit)]
        entry = audit_entry(noted.by, "rate", noted.why)
        await self._set([self._shared.key, *logs], [rate, burst, LIVE_KEEP_S * 1000, entry])


class LimitSeen(NamedTuple):
    """A limit that workers use: its name without the prefix, the host it is for, the limit in the settings, its status.

    `paused_s` maps what paused it to seconds in all; a pause counts in full when it begins. `failing_s` is for how many
    seconds every read or every write has failed, 0 where one succeeded or nobody sends any. `slowed_at` is since when
    the rate has been slowed down, in seconds since the epoch, None where it is not.
    """

    name: str
    endpoint: str
    configured: Limit
    status: RateStatus
    paused_s: dict[str, float]
    failing_s: float
    slowed_at: float | None = None


async def record_use(redis: Redis, shared: SharedLimit, *, endpoint: str) -> None:
    """Record that a limit is used, so that metrics need no API key."""
    key, limit = shared
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
    """Return the limits that workers used in the last week, the latest used first; no slot is used."""
    seen = []
    names: list[Any] = await redis.zrevrange(LIMITS, 0, MOST_LIMITS - 1)
    for key in (name.decode() for name in names):
        facts: list[Any] = await redis.hmget(
            key, ["host", "configured", "configured_burst", "slowed_at", *(f"paused_s:{code}" for code in PAUSES)]
        )
        host, rate, burst, slowed_at, *paused = facts
        if host is None or rate is None or burst is None:
            continue
        limit = Limit(float(rate), int(burst))
        status = (await Limits(redis).acquire(0, SharedLimit(key, limit))).status
        paused_s = {code: float(number or 0) for code, number in zip(PAUSES, paused, strict=True)}
        name, failing = key.rpartition(":")[2], await failing_s(redis, key)
        since = float(slowed_at) if slowed_at and status.slowed_by else None
        seen.append(LimitSeen(name, host.decode(), limit, status, paused_s, failing, since))
    return seen


async def only_limit_of(redis: Redis, base_url: str) -> SharedLimit | None:
    """Return the limit that workers used for an endpoint in the last week; None where there is none, or several."""
    found = [seen for seen in await limits_in_use(redis) if seen.endpoint == urlsplit(base_url).netloc]
    return SharedLimit(LIMIT_PREFIX + found[0].name, found[0].configured) if len(found) == 1 else None


async def jobs_on(settings: Settings, ledger: Ledger) -> list[str]:
    """Return the ids of the jobs under way that call the endpoint of these settings, and so share its rate."""
    found = []
    for job_id in await ledger.jobs.active():
        with contextlib.suppress(NoSuchJob):
            if (await ledger.jobs.get(job_id)).spec.target == settings.openai_base_url:
                found.append(job_id)
    return found
