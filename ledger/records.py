"""What a settled write leaves in place of its claim, so that a read that lags behind the write is known as stale."""

from __future__ import annotations

import hashlib

import msgspec
from redis.asyncio import Redis

from ledger.patching import apply_patch
from ledger.row import Metadata
from ledger.row_reader import read_patch

MOST_STEPS = 4
"""Writes in a row that a record remembers; a read that shows a state from before them counts as any other."""
LEAST_LIFE_S = 60.0
"""Life of a record where no probe found a service whose reads lag longer."""
_DIGEST_BYTES = 8

_encode = msgspec.msgpack.Encoder().encode


class Step(msgspec.Struct, frozen=True, array_like=True):
    """A settled write: the digest of what the completion held before it, and the row of a job that made it."""

    before: bytes
    job_id: str
    row: int


class Record(msgspec.Struct, frozen=True, array_like=True):
    """The last writes to a completion, the oldest first, and the digest of what the last of them left."""

    steps: list[Step]
    after: bytes

    def step_shown(self, metadata: Metadata) -> int | None:
        """Return the place of the first write that is not shown; None where the last is shown, or a third state."""
        shown = digest(metadata)
        if shown == self.after:
            return None
        return next((place for place, step in enumerate(self.steps) if step.before == shown), None)

    async def replay(self, redis: Redis, metadata: Metadata) -> Metadata | None:
        """Return what the completion holds where all writes happened that the metadata does not show.

        None where a job whose write it was is gone from the ledger.
        """
        place = self.step_shown(metadata)
        for step in [] if place is None else self.steps[place:]:
            found = await read_patch(redis, step.job_id, step.row)
            if found is None:
                return None
            patch, mode = found
            metadata = apply_patch(metadata, patch.metadata, mode)
        return metadata


_decode = msgspec.msgpack.Decoder(Record).decode


def digest(metadata: Metadata) -> bytes:
    """Return a digest of the metadata, whatever the order of its keys; it cannot be turned back."""
    return hashlib.blake2b(_encode(sorted(metadata.items())), digest_size=_DIGEST_BYTES).digest()


def record_life_s(visible_after_s: float) -> float:
    """Return the seconds for which a record is kept, where a read shows an update after so many seconds at most."""
    return max(2 * visible_after_s, LEAST_LIFE_S)


def next_record(
    former: Record | None, job_id: str, row: int, before: Metadata | None, after: Metadata
) -> Record | None:
    """Return the record of a write, with the writes before it where they led to what it found.

    `before` is None where nothing was read; then only a former record tells what was there, and None is returned
    where there is none.
    """
    found = digest(before) if before is not None else former.after if former is not None else None
    if found is None:
        return None
    steps = former.steps if former is not None and former.after == found else []
    return Record([*steps, Step(found, job_id, row)][-MOST_STEPS:], digest(after))


def pack_record(record: Record) -> bytes:
    """Pack a record for the place of a claim."""
    return _encode(record)


def unpack_record(packed: bytes) -> Record:
    """Return a packed record."""
    return _decode(packed)
