"""Finds the completions of a file that other jobs are about to change, too."""

from __future__ import annotations

import time
from itertools import islice
from typing import NamedTuple

from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job
from ledger.ledger import Ledger
from ledger.row_reader import read_open_patches
from producer.check import Checked
from producer.known_ids import KnownIds

LOOK_FOR_S = 10.0
"""Bound of the comparison, in seconds; some millions of rows."""
SAMPLES = 3


class Overlap(NamedTuple):
    """Completions that another job has yet to change; `lines` are the first of them in the file."""

    job_id: str
    rows: int
    lines: list[int]


class Overlaps(NamedTuple):
    """What was found, and the jobs whose rows were too many to look at them all."""

    found: list[Overlap]
    unread: list[str]


class _Marks:
    """Marks some places; a byte each."""

    def __init__(self, number: int) -> None:
        self._marked = bytearray(number)
        self.number = 0

    def __contains__(self, place: object) -> bool:
        return isinstance(place, int) and bool(self._marked[place])

    def add(self, place: int) -> None:
        """Mark a place, once."""
        self.number += not self._marked[place]
        self._marked[place] = 1


async def find_overlaps(checked: Checked, target: str, *, ledger: Ledger, within_s: float = LOOK_FOR_S) -> Overlaps:
    """Compare the rows of a file with the open rows of every active job for the same API, for so many seconds."""
    deadline = time.monotonic() + within_s
    result = Overlaps([], [])
    others = [job for job in await _active(ledger) if job.spec.target == target]
    if not others or not checked.total:
        return result
    ids = KnownIds(checked)
    for job in others:
        marks = _Marks(len(ids))
        if not await _compare(ledger, job, ids, marks, deadline):
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
        if not job.state.ended:
            jobs.append(job)
    return jobs


async def _compare(ledger: Ledger, job: Job, ids: KnownIds, marks: _Marks, deadline: float) -> bool:
    """Mark what the job has, too; tell whether all of its rows were looked at."""
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
