"""Digests of a job's rows, which anybody can recompute from the JSONL report (docs/receipt.md).

A row is one line of canonical JSON (RFC 8785), a shard the SHA-256 of its lines, a job the SHA-256 of what it is for
and of its shards. So a shard is digested when it closes, and no digest needs all rows at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

import rfc8785

from ledger.job_spec import JobSpec, Mode
from ledger.ledger import Ledger
from ledger.patching import apply_patch, diff
from ledger.row import Metadata, Outcome
from ledger.row_reader import ReportedRow, read_rows

_NOTHING_DONE = frozenset({Outcome.PENDING, Outcome.FAILED, Outcome.REJECTED, Outcome.DRIFTED, Outcome.CANCELLED})

Values = Mapping[str, str | None]
"""Values by key; None where the completion does not have the key."""


class BeforeAfter(NamedTuple):
    """What a row changes: the values of these keys before and after; of all keys in `replace` mode.

    Both are None where the row did nothing, or nobody kept what was there.
    """

    before: Values | None
    after: Values | None


UNKNOWN = BeforeAfter(None, None)


def before_and_after(outcome: Outcome, patch: Values, before: Metadata | None, mode: Mode) -> BeforeAfter:
    """Return what a row changed, or would change; `before` is the completion's metadata before it, None if not kept."""
    if outcome in _NOTHING_DONE:
        return UNKNOWN
    if outcome is Outcome.UNCHANGED:
        held = apply_patch({}, patch, mode) if mode is Mode.REPLACE else {}
        return BeforeAfter(held, held)
    if before is None:
        return UNKNOWN
    if mode is Mode.REPLACE:
        return BeforeAfter(before, apply_patch(before, patch, mode))
    changes = diff(before, patch, mode)
    return BeforeAfter(
        {key: change.before for key, change in changes.items()}, {key: change.after for key, change in changes.items()}
    )


def row_line(completion_id: str, values: BeforeAfter, outcome: Outcome) -> bytes:
    """Return the line of a row.

    No text of a row is refused: half a surrogate pair, which has no canonical JSON, passes neither the reader of files
    nor that of replies.
    """
    before, after = (None if each is None else dict(each) for each in values)
    return rfc8785.dumps([completion_id, before, after, outcome.word]) + b"\n"


def input_line(completion_id: str, patch: Values) -> bytes:
    """Return the line of what a row asks for."""
    return rfc8785.dumps([completion_id, dict(patch)]) + b"\n"


def shard_digest(rows: Iterable[ReportedRow], mode: Mode) -> str:
    """Return the digest of a shard's rows, given in order, in hex."""
    digest = hashlib.sha256()
    for row in rows:
        values = before_and_after(row.outcome, row.patch.metadata, row.before, mode)
        digest.update(row_line(row.patch.completion_id, values, row.outcome))
    return digest.hexdigest()


def input_shard_digest(rows: Iterable[ReportedRow]) -> str:
    """Return the digest of what a shard's rows ask for, in hex."""
    lines = (input_line(row.patch.completion_id, row.patch.metadata) for row in rows)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def job_digest(target: str, mode: Mode, shards: Iterable[str]) -> str:
    """Return the digest of a job for the API at this base URL, with the digests of its shards in order, in hex."""
    digest = hashlib.sha256(rfc8785.dumps([target, mode.value]) + b"\n")
    for shard in shards:
        digest.update(shard.encode() + b"\n")
    return digest.hexdigest()


class Digests(NamedTuple):
    """The digests of what a job's rows ask for, and of how they ended, in hex."""

    input: str
    outcomes: str


async def read_digests(ledger: Ledger, spec: JobSpec) -> Digests:
    """Return the digests of a job's rows in the order of its report, `shard_rows` of them to a shard.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    asked, ended = list[str](), list[str]()
    async for shard in _shards(ledger, spec):
        asked.append(input_shard_digest(shard))
        ended.append(shard_digest(shard, spec.mode))
    return Digests(job_digest(spec.target, spec.mode, asked), job_digest(spec.target, spec.mode, ended))


async def _shards(ledger: Ledger, spec: JobSpec) -> AsyncIterator[list[ReportedRow]]:
    shard = list[ReportedRow]()
    async for row in read_rows(ledger.redis, spec):
        shard.append(row)
        if len(shard) == spec.shard_rows:
            yield shard
            shard = []
    if shard:
        yield shard
