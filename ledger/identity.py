"""The identity of a ledger: a generation, by which one that came back empty is told from the one that was there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from redis.asyncio import Redis

from ledger.errors import NewerLedger
from ledger.keys import JOBS, LOST, TOTALS
from ledger.scripts import load_script

SCHEMA = 2
"""The form of what is stored. It rises with a release whose jobs an earlier release cannot carry out."""
FIELD = b"ledger:"
"""Prefix of the identity's fields among the totals."""


class Reset(NamedTuple):
    """That a ledger came in the place of another one: when and by whom it was found (seconds since the epoch).

    `unnamed` is the number of active jobs of the other one that nobody remembers by id.
    """

    at: float
    seen_by: str
    unnamed: int


class Identity(NamedTuple):
    """Which ledger this is, and since when it exists, in seconds since the epoch by the server's clock.

    `reset` is set where a process remembered another ledger in its place; None says nothing.
    """

    generation: str
    since: float
    schema: int
    reset: Reset | None = None


class Identities:
    """The identity of one server's ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._identify = load_script(redis, "identify")
        self._reset = load_script(redis, "reset")

    async def establish(self) -> Identity:
        """Return the ledger's identity; one that has none gets it.

        Raises:
            NewerLedger: it holds what a newer release stored.

        """
        generation, since, schema = await self._identify([TOTALS, JOBS, LOST], [secrets.token_hex(8), SCHEMA])
        if int(schema) > SCHEMA:
            raise NewerLedger(int(schema), SCHEMA)
        return Identity(generation.decode(), float(since), int(schema))

    async def read(self) -> Identity | None:
        """Return the ledger's identity, None where it has none yet."""
        totals: dict[Any, Any] = await self._redis.hgetall(TOTALS)
        return identity_of(totals)

    async def note_reset(self, former: str, *, seen_by: str, unnamed: int) -> bool:
        """Record that this ledger came in the place of the one of generation `former`; return whether it is news."""
        return bool(await self._reset([TOTALS], [former, seen_by, unnamed]))


def identity_of(totals: Mapping[bytes, bytes]) -> Identity | None:
    """Return the identity in the hash of totals, None where there is none."""
    fields = {name.removeprefix(FIELD).decode(): value.decode() for name, value in totals.items() if is_identity(name)}
    if "generation" not in fields:
        return None
    reset = None
    if "reset_at" in fields:
        reset = Reset(float(fields["reset_at"]), fields.get("reset_seen_by", ""), int(fields.get("reset_unnamed", 0)))
    return Identity(fields["generation"], float(fields["since"]), int(fields["schema"]), reset)


def is_identity(name: bytes) -> bool:
    """Return whether a field of the totals belongs to the identity."""
    return name.startswith(FIELD)
