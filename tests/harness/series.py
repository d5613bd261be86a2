"""Gives a job the history that it would have after a longer life, as the scripts store it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.series import Point


async def set_series(
    ledger: Ledger, job_id: str, points: Sequence[Point], *, seconds: int = 5, ended_at: float | None = None
) -> None:
    """Store these points, of so many seconds each, in place of those of the job, which began with the first of them."""
    keys, began = JobKeys(job_id), points[0].at if points else 0.0
    sums = [sum(point[part] for point in points) for part in (1, 2, 3)]
    packed = struct.pack(">IdIII", seconds, began, *sums)
    packed += b"".join(struct.pack(">IIIIf", int(at) // seconds, *rest) for at, *rest in points)
    await ledger.redis.set(keys.series, packed, keepttl=True)
    times = {"submitted_at": began} | ({} if ended_at is None else {"finished_at": ended_at})
    await ledger.redis.hset(keys.job, mapping=times)
