"""The server's clock: the one that all workers share."""

from __future__ import annotations

from datetime import UTC, datetime

from redis.asyncio import Redis


async def server_time(redis: Redis) -> float:
    """Give the server's time, seconds since the epoch."""
    seconds, micros = await redis.time()
    return float(seconds) + float(micros) / 1e6


def utc_time(at: float) -> str:
    """Give a moment, seconds since the epoch, as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
