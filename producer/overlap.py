"""Finds the completions of a new job that another job is about to change, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ledger.job import Job
from ledger.jobs import NoSuchJob
from ledger.ledger import Ledger
from ledger.row import Patch
from ledger.rows import read_open_patches
from ledger.settlements import StateLost
from producer.check import Checked

MOST_ROWS = 200_000
"""Rows that are compared, of the new job and of all others: some tens of megabytes, and a second or two."""
SAMPLES = 3
_TOGETHER = 1000

_decode = msgspec.msgpack.Decoder(list[Patch]).decode


class Overlap(NamedTuple):
    """Completions that another job has yet to change; `lines` are the first of them in the new job's file."""

    job_id: str
    rows: int
    lines: list[int]


class Overlaps(NamedTuple):
    """What was found, and the jobs that were too large to look at."""

    found: list[Overlap]
    skipped: list[str]


async def find_overlaps(checked: Checked, job_id: str, target: str, *, ledger: Ledger) -> Overlaps:
    """Compare the rows of the new job with the open rows of every active job for the same API."""
    others = [job for job in await _active(ledger) if job.spec.job_id != job_id and job.spec.target == target]
    room = MOST_ROWS - checked.total
    result = Overlaps([], [])
    lines = _lines(checked) if others and room > 0 else {}
    for job in others:
        room -= job.counts.pending
        if room < 0:
            result.skipped.append(job.spec.job_id)
        elif (overlap := await _compare(ledger, job, lines)).rows:
            result.found.append(overlap)
    return result


async def _active(ledger: Ledger) -> list[Job]:
    jobs = []
    for job_id in await ledger.jobs.active():
        try:
            job = await ledger.jobs.get(job_id)
        except NoSuchJob:
            continue
        if not job.state.ended:
            jobs.append(job)
    return jobs


def _lines(checked: Checked) -> dict[str, int]:
    return {patch.completion_id: patch.line for shard in checked.shards(_TOGETHER) for patch in _decode(shard.body)}


async def _compare(ledger: Ledger, job: Job, lines: Mapping[str, int]) -> Overlap:
    number, first = 0, list[int]()
    try:
        async for patches in read_open_patches(ledger.redis, job.spec):
            met = [lines[patch.completion_id] for patch in patches if patch.completion_id in lines]
            number += len(met)
            first = sorted([*first, *met])[:SAMPLES]
    except StateLost:
        return Overlap(job.spec.job_id, 0, [])
    return Overlap(job.spec.job_id, number, first)
