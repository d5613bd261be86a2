"""Finds which kept job last wrote what a completion holds, by the index of each job's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job
from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.row import Metadata
from ledger.row_reader import ReportedRow, read_shard
from report.changes import row_change

KEPT_SHARDS = 8
"""Shards of ended jobs that are kept in memory: rows that are looked at one after another share theirs."""


class _Written(NamedTuple):
    """A job's row that wrote what is held: the second in which it ended, and when its job was submitted.

    Of rows that ended in one second, that of the job that was submitted last counts as the last. Rows that have not
    ended count as the latest.
    """

    at: float
    submitted_at: float
    job_id: str


class LaterChanges:
    """The jobs in one ledger that changed completions, for many questions one after another."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ended: dict[str, Job] = {}
        self._shards: dict[tuple[str, int], list[ReportedRow]] = {}

    async def row(self, spec: JobSpec, number: int) -> ReportedRow:
        """Return one row of a job by its number.

        Raises:
            StateLost: the job's keys are gone or torn.

        """
        shard, place = spec.place_of(number)
        rows = self._shards.get((spec.job_id, shard)) or await read_shard(self._ledger.redis, spec, shard)
        if spec.job_id in self._ended:
            self._shards[spec.job_id, shard] = rows
            if len(self._shards) > KEPT_SHARDS:
                del self._shards[next(iter(self._shards))]
        return rows[place]

    async def job(self, job_id: str) -> Job:
        """Return a job; raises NoSuchJob."""
        job = self._ended.get(job_id) or await self._ledger.jobs.get(job_id)
        if job.state.ended:
            self._ended[job_id] = job
        return job

    async def author_of(
        self, completion_id: str, held: Metadata, keys: Sequence[str], *, since: int, besides: str
    ) -> str | None:
        """Return the id of the job that wrote one of these keys as it is held, the last one; None where none is known.

        Only rows count that ended `since` or later, in seconds since the epoch, and only of other jobs than `besides`;
        of the same second, only those of jobs that were submitted after that one, where it is still kept.
        """
        written = list[_Written]()
        after = (since, await self._submitted_at(besides))
        for job_id, numbers in (await self._ledger.row_indexes.search(completion_id)).items():
            if job_id == besides or not numbers:
                continue
            try:
                written += await self._written(job_id, numbers, completion_id, held, keys)
            except (NoSuchJob, StateLost):
                continue
        later = [each for each in written if (each.at, each.submitted_at) >= after]
        return max(later).job_id if later else None

    async def _submitted_at(self, job_id: str) -> float:
        try:
            return (await self.job(job_id)).submitted_at
        except NoSuchJob:
            return 0.0

    async def _written(
        self, job_id: str, numbers: list[int], completion_id: str, held: Metadata, keys: Sequence[str]
    ) -> list[_Written]:
        job, found = await self.job(job_id), list[_Written]()
        spec = job.spec
        for number in [] if spec.kind.only_reads else numbers:
            row = await self.row(spec, number)
            if row.patch.completion_id != completion_id:
                continue
            left = {change.key: change.after for change in row_change(spec, row).changes} | (row.altered or {})
            if any(key in left and left[key] == held.get(key) for key in keys):
                found.append(_Written(row.settled_at or float("inf"), job.submitted_at, job_id))
        return found
