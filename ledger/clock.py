"""The server's clock: the one that all workers share."""

from __future__ import annotations

from redis.asyncio import Redis


async def server_time(redis: Redis) -> float:
    """Give the server's time, seconds since the epoch."""
    seconds, micros = await redis.time()
    return float(seconds) + float(micros) / 1e6
