"""The rate that the deployed workers share, as the command line sees it."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from config.settings import Settings
from ledger.errors import NoSuchJob
from ledger.ledger import Ledger
from worker import shared_rate
from worker.rate_limiter import Limit
from worker.shared_rate import USED_OVER_S, SharedRate


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
    _, limit = limit_of(settings)
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


def limit_of(settings: Settings) -> tuple[str, Limit]:
    """Return the Redis key of the limit that workers with these settings share, and what it allows."""
    return shared_rate.limit_of(settings, settings.openai_api_key.get_secret_value() if settings.openai_api_key else "")


def _shared(settings: Settings, ledger: Ledger) -> SharedRate:
    key, limit = limit_of(settings)
    return SharedRate(ledger.redis, key=key, limit=limit)
