"""Lists the latest jobs, and reads who changed one."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from ledger.audit import AuditLine
from ledger.errors import NoSuchJob
from ledger.job import Job, JobSpec, JobState, Mode
from ledger.job_search import newest_first
from relabel.session import Session


class JobFilter(NamedTuple):
    """Which jobs are asked for; what is left out does not matter.

    `since` is in seconds since the epoch. `by` is user@host or the user alone. `name` is a part of the job's name,
    whatever its case. `key` is a metadata key that the job may touch.
    """

    states: frozenset[JobState] = frozenset()
    since: float = 0.0
    by: str = ""
    name: str = ""
    key: str = ""

    def matches(self, job: Job) -> bool:
        """Return whether this is one of the jobs that are asked for."""
        spec = job.spec
        return (
            (not self.states or job.state in self.states)
            and self.by in {"", spec.by, spec.by.partition("@")[0]}
            and self.name.casefold() in spec.name.casefold()
            and (not self.key or may_touch(spec, self.key))
        )


ANY_JOB = JobFilter()


def may_touch(spec: JobSpec, key: str) -> bool:
    """Return whether a job may change a metadata key: it names it, replaces whole maps, or names more than it keeps.

    Of a job of release one nobody knows, so that it may.
    """
    return spec.keys is None or spec.more_keys or spec.mode is Mode.REPLACE or key in spec.keys


async def latest_jobs(session: Session, number: int, wanted: JobFilter = ANY_JOB) -> list[Job]:
    """Return so many of the jobs at most that are asked for, the newest first."""
    if wanted == ANY_JOB:
        return await session.ledger.jobs.latest(number)
    found: list[Job] = []
    async for job_id in newest_first(session.ledger.redis, since=wanted.since):
        with contextlib.suppress(NoSuchJob):
            job = await session.ledger.jobs.get(job_id)
            found += [job] if wanted.matches(job) else []
        if len(found) == number:
            break
    return found


async def job_log(session: Session, job_id: str) -> list[AuditLine]:
    """Return who changed the job, when and why, the oldest change first.

    Raises:
        NoSuchJob: there is no such job.

    """
    await session.ledger.jobs.get(job_id)
    return await session.ledger.audit.read(job_id)
