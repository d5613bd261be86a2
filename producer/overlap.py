"""Finds the completions of a file that other jobs are still to change."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job
from ledger.ledger import Ledger
from ledger.row import Patch
from ledger.row_reader import read_open_patches, read_outcomes
from producer.checked import Checked

COMPARE_FOR_S = 10.0
"""Bound of the comparison, in seconds; some millions of rows."""
SAMPLES = 3
ROWS_OF_A_SEARCH = 200
"""Open rows of a job for each id of the file, from which on its index is searched: 1,000 ids took 0.4 s of it, where
reading 200,000 rows took 1.2 s."""
OPEN = b"\0"
"""The outcome of a row that has not ended."""


class Overlap(NamedTuple):
    """Completions that another job has yet to change; `lines` are the first of them in the file."""

    job_id: str
    rows: int
    lines: list[int]


class Overlaps(NamedTuple):
    """The overlaps, and the jobs that had too many rows to compare all of them."""

    found: list[Overlap]
    unread: list[str]


class _Marks:
    """A set of places, a byte each."""

    def __init__(self, number: int) -> None:
        self._marked = bytearray(number)
        self.number = 0

    def __contains__(self, place: object) -> bool:
        return isinstance(place, int) and bool(self._marked[place])

    def add(self, place: int) -> None:
        """Mark a place, once."""
        self.number += not self._marked[place]
        self._marked[place] = 1


async def find_overlaps(checked: Checked, target: str, *, ledger: Ledger, within_s: float = COMPARE_FOR_S) -> Overlaps:
    """Compare the rows of a file with the open rows of every active job for the same API, for so many seconds."""
    deadline = time.monotonic() + within_s
    result = Overlaps([], [])
    others = [job for job in await _active(ledger) if job.spec.target == target]
    if not others or not checked.total:
        return result
    ids = KnownIds(checked)
    for job in others:
        marks = _Marks(len(ids))
        few = checked.total * ROWS_OF_A_SEARCH <= job.counts.pending
        compared = await _search(ledger, job, ids, marks, deadline) if few else None
        if compared is None:
            compared = await _compare(ledger, job, ids, marks, deadline)
        if not compared:
            result.unread.append(job.spec.job_id)
        if marks.number:
            first = list(islice(ids.lines(marks), SAMPLES))
            result.found.append(Overlap(job.spec.job_id, marks.number, first))
    return result


async def _active(ledger: Ledger) -> list[Job]:
    jobs = []
    for job_id in await ledger.jobs.active():
        try:
            job = await ledger.jobs.get(job_id)
        except NoSuchJob:
            continue
        if not (job.state.ended or job.spec.kind.only_reads):
            jobs.append(job)
    return jobs


async def _search(ledger: Ledger, job: Job, ids: KnownIds, marks: _Marks, deadline: float) -> bool | None:
    """Mark the ids that the job's index has; return whether all were looked for, None where the job has no index.

    Two ids of one hash of 64 bits are not told apart: a warning may then count a row too many.
    """
    job_id, spec = job.spec.job_id, job.spec
    try:
        for completion_id in ids.completion_ids():
            if time.monotonic() > deadline:
                return False
            rows = (await ledger.row_indexes.find([job_id], completion_id))[job_id]
            if rows is None:
                return None
            outcomes = [await read_outcomes(ledger.redis, spec, row, 1) for row in rows]
            place = ids.place(completion_id)
            if place is not None and any(outcome == OPEN for outcome in outcomes):
                marks.add(place)
    except StateLost:
        pass  # it will change nothing more
    return True


async def _compare(ledger: Ledger, job: Job, ids: KnownIds, marks: _Marks, deadline: float) -> bool:
    """Mark the ids that the job has, too; return whether all of its rows were compared."""
    try:
        async for patches in read_open_patches(ledger.redis, job.spec):
            if time.monotonic() > deadline:
                return False
            for patch in patches:
                place = ids.place(patch.completion_id)
                if place is not None:
                    marks.add(place)
    except StateLost:
        pass  # it will change nothing more
    return True


_TOGETHER = 1000
_BUCKET_ROWS = 1 << 16  # rows a bucket has on average: some MB of Python objects while it is sorted

_decode = msgspec.msgpack.Decoder(list[Patch]).decode


class KnownIds:
    """The ids of the file; each has a place, a number below `len`."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        buckets = [array("q") for _ in range(checked.total // _BUCKET_ROWS + 1)]
        for patch in self._patches():
            value = hash(patch.completion_id)
            buckets[value % len(buckets)].append(value)
        self._buckets = [array("q", sorted(bucket)) for bucket in buckets]
        self._first = [0]
        for bucket in self._buckets:
            self._first.append(self._first[-1] + len(bucket))

    def __len__(self) -> int:
        return self._first[-1]

    def completion_ids(self) -> Iterator[str]:
        """Return the ids, in file order."""
        return self._checked.completion_ids()

    def place(self, completion_id: str) -> int | None:
        """Return the id's place, None where the file does not have it."""
        value = hash(completion_id)
        number = value % len(self._buckets)
        bucket = self._buckets[number]
        at = bisect_left(bucket, value)
        return self._first[number] + at if at < len(bucket) and bucket[at] == value else None

    def lines(self, places: Container[int]) -> Iterator[int]:
        """Return the lines of the ids at these places, in file order."""
        return (patch.line for patch in self._patches() if self.place(patch.completion_id) in places)

    def _patches(self) -> Iterator[Patch]:
        return (patch for shard in self._checked.shards(_TOGETHER) for patch in _decode(shard.body))
