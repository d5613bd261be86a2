"""A ledger as release one left it (`ledger.json.gz`): every key, and what the API held at that moment.

It was made by release one itself, with real workers: a finished job with failed, rejected and folded rows, one without
before-images, an undo and a retry, jobs that were cancelled, paused and held, one whose worker was killed at work, and
a night with a rejected file. Values are Base64; a hash and a sorted set are lists of pairs.
"""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

LEDGER = Path(__file__).parent / "ledger.json.gz"


class StoredLedger(NamedTuple):
    """`jobs` names each job's id by its fate; `facts` holds what `status --json` of release one said of it."""

    jobs: dict[str, str]
    facts: dict[str, dict[str, Any]]
    completions: dict[str, dict[str, str]]
    target: str
    keys: list[dict[str, Any]]

    async def restore(self, redis: Redis, *, target: str) -> None:
        """Write every key, with the time to live that it had; jobs are meant for `target` instead."""
        for key in self.keys:
            await _write(redis, key, (self.target.encode(), target.encode()))


@cache
def stored_ledger() -> StoredLedger:
    """Return the ledger of the file beside this module."""
    stored = json.loads(gzip.decompress(LEDGER.read_bytes()))
    facts = {fate: each["status"] for fate, each in stored["facts"].items()}
    return StoredLedger(stored["jobs"], facts, stored["completions"], stored["target"], stored["keys"])


async def _write(redis: Redis, key: dict[str, Any], target: tuple[bytes, bytes]) -> None:
    name, value = key["key"], key["value"]
    match key["type"]:
        case "string":
            await redis.set(name, base64.b64decode(value))
        case "hash":
            pairs = {base64.b64decode(field): base64.b64decode(each) for field, each in value}
            if b"spec" in pairs:
                pairs[b"spec"] = pairs[b"spec"].replace(*target)
            await redis.hset(name, mapping=pairs)
        case "zset":
            await redis.zadd(name, {base64.b64decode(member): score for member, score in value})
        case "set":
            await redis.sadd(name, *(base64.b64decode(member) for member in value))
        case "list":
            await redis.rpush(name, *(base64.b64decode(each) for each in value))
    if key["ttl_ms"] > 0:
        await redis.pexpire(name, key["ttl_ms"])
