"""What the ledger's server says of itself: its memory, its disk and its clock, and whether it takes writes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.clock import server_time
from ledger.keys import health_check_key

CHECK_KEEP_MS = 1000
_WRITES = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")


class ServerFacts(NamedTuple):
    """Memory in bytes (a limit of 0 is none), and what happens to it: eviction, the append-only file, its writes.

    `disk_used` are the bytes of the append-only file, 0 without one. A rewrite of it that failed counts as a write.
    """

    memory_used: int
    memory_limit: int
    evicts: bool
    append_only: bool
    disk_writes_ok: bool
    disk_used: int


async def server_facts(redis: Redis) -> ServerFacts:
    """Read the facts; INFO costs the same however much the server holds."""
    memory, disk = await redis.info("memory"), await redis.info("persistence")
    return ServerFacts(
        memory_used=int(memory.get("used_memory", 0)),
        memory_limit=int(memory.get("maxmemory", 0)),
        evicts=memory.get("maxmemory_policy", "noeviction") != "noeviction",
        append_only=bool(disk.get("aof_enabled", 0)),
        disk_writes_ok=all(disk.get(name, "ok") == "ok" for name in _WRITES),
        disk_used=int(disk.get("aof_current_size", 0)),
    )


async def clock_ahead_s(redis: Redis, *, clock: Callable[[], float] = time.time) -> float:
    """Return the seconds that this machine's clock is ahead of the server's, as near as half a round trip allows."""
    before = clock()
    theirs = await server_time(redis)
    return (before + clock()) / 2 - theirs


async def write_and_forget(redis: Redis) -> None:
    """Write a key that is gone in a second; the server's refusal is the answer."""
    await redis.set(health_check_key(secrets.token_hex(8)), "1", px=CHECK_KEEP_MS)
