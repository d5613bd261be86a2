"""Reads several keys at one moment, also from a server that is at its memory limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from ledger.scripts import load_script


class Snapshot(NamedTuple):
    """The answers in the order of the reads, and when they were given, in seconds since the epoch by the server."""

    answers: list[Any]
    now: float


async def read_together(redis: Redis, reads: Sequence[tuple[str, str]]) -> Snapshot:
    """Read keys at one moment: pairs of a key and the command that reads it, such as `HGETALL` or `ZRANGE 0 0`."""
    keys, commands = zip(*reads, strict=True)
    *answers, now = await load_script(redis, "snapshot")(keys, commands)
    return Snapshot(answers, float(now))


def as_hash(flat: list[bytes]) -> dict[bytes, bytes]:
    """Return what `HGETALL` read within a script."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
