"""The server's clock: the one that all workers share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from redis.asyncio import Redis


async def server_time(redis: Redis) -> float:
    """Return the server's time, seconds since the epoch."""
    seconds, micros = await redis.time()
    return float(seconds) + float(micros) / 1e6


def utc_time(at: float) -> str:
    """Return a moment, seconds since the epoch, as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_second(at: float) -> str:
    """Return a moment, seconds since the epoch, as ISO 8601 in UTC to the second."""
    return datetime.fromtimestamp(int(at), tz=UTC).isoformat().replace("+00:00", "Z")


CLOCKS_AGREE_S = 1.0
"""Difference between the clocks past which neither is believed."""


class Reading(NamedTuple):
    """A moment by both clocks, in seconds."""

    running: float
    wall: float


def _running() -> float:
    """Return the seconds since the machine was started, with those for which it was suspended where that is known."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Clocks:
    """Measures time by two clocks, as each of them may stand still or jump."""

    def __init__(self, running: Callable[[], float] = _running, wall: Callable[[], float] = time.time) -> None:
        self._running = running
        self._wall = wall

    def read(self) -> Reading:
        """Return what both clocks show now."""
        return Reading(self._running(), self._wall())

    def age_s(self, reading: Reading) -> float:
        """Return the seconds since the reading by the clock that went further; infinite where they disagree."""
        running, wall = self._running() - reading.running, self._wall() - reading.wall
        return max(running, wall) if abs(running - wall) <= CLOCKS_AGREE_S else math.inf


CLOCKS = Clocks()
"""The clocks of this machine."""
