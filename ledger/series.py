"""Reads how a job's counters rose over its life: a bounded series of points (`lua/prelude.lua` records them)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.keys import JobKeys

MOST_POINTS = 500
"""Points of a series at most; past them, neighbours are merged."""
_HEAD = struct.Struct(">IdIII")
_POINT = struct.Struct(">IIIIf")
_DIGITS = 6  # of a rate, which is stored in single precision


class Point(NamedTuple):
    """What came within one stretch of time, from `at`, in seconds since the epoch by the server's clock.

    `rows` ended, cancelled ones left out; of `requests` that were answered, `throttled` with 429. `rate_per_minute` is
    the rate in force for the job at the end of it, in requests a minute, 0 where it is not known.
    """

    at: float
    rows: int
    requests: int
    throttled: int
    rate_per_minute: float


class Series(NamedTuple):
    """The points of a job, each of so many seconds; where nothing came and the rate stayed, there is none.

    `began_at` is when a worker began with the first of them, 0 where that is not known.
    """

    seconds: int
    began_at: float
    points: list[Point]


async def read_series(redis: Redis, job_id: str) -> Series | None:
    """Return a job's series; None of a job of an earlier release, or one that is gone."""
    return unpack_series(await redis.get(JobKeys(job_id).series))


def unpack_series(packed: bytes | str | None) -> Series | None:
    """Return a series as it is stored; None where there is none."""
    if not isinstance(packed, bytes) or len(packed) < _HEAD.size:
        return None
    seconds, began_at, *_ = _HEAD.unpack_from(packed)
    points = [
        Point(number * seconds, rows, requests, throttled, float(f"{rate:.{_DIGITS}g}"))
        for number, rows, requests, throttled, rate in _POINT.iter_unpack(packed[_HEAD.size :])
    ]
    return Series(seconds, began_at, points)
