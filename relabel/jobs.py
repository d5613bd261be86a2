"""Lists the latest jobs, and reads who changed one and what was made of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from config.text import printable
from ledger.audit import AuditLine, MadeJob
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.job_id import submitted_at
from ledger.job_search import Submission, newest_active, newest_first, submission_of
from ledger.job_spec import JobSpec, Kind, Mode
from ledger.job_states import READ_TOGETHER
from ledger.person import person_of
from ledger.seen import Seen, read_made, read_seen
from relabel.errors import InvalidInput
from relabel.explain import reason_of, waiting_for
from relabel.facts import job_facts
from relabel.plan_findings import PlanFindings, plan_facts, plan_findings
from relabel.session import Session
from relabel.verification import Verification, verification_among, verification_facts
from relabel.worker_state import why_none_works


class JobFilter(NamedTuple):
    """Which jobs are asked for; what is left out does not matter.

    `since` is in seconds since the epoch. `by` is user@host, the user alone, or the owner of a token. `name` is a part
    of the job's name, whatever its case. `key` is a metadata key that the job may touch.
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
            and self.by in {"", spec.by, person_of(spec.by), person_of(spec.by).partition("@")[0]}
            and self.name.casefold() in spec.name.casefold()
            and (not self.key or may_touch(spec, self.key))
        )


ANY_JOB = JobFilter()
AMONG_ACTIVE = frozenset({JobState.HELD, JobState.RUNNING, JobState.PAUSED})
"""States of jobs that are all among the active ones; one that is still being stored may not be."""
LOOKED_AT, LEAST_LOOKED_AT = 1000, 100
"""Jobs that are looked at for one page at most, and at least."""
LOOK_FOR_S = 0.5
"""Time after which no more than the least are looked at."""
SHOWN_CHARS = 80
SHOWN_MADE = 20
"""Jobs made of one that are read: the latest."""


class ChildJob(NamedTuple):
    """A job that was made of another one's rows, and how it stands; None where it is kept no more."""

    made: MadeJob
    job: Job | None


class JobSeen(NamedTuple):
    """A job, why no worker takes rows ('' where one does), and the jobs made of it, oldest first.

    Where the job is looked at by itself, `plan` is what a plan found, and `verification` what the latest one of the job
    found, or itself where it is one.
    """

    job: Job
    idle: str
    children: list[ChildJob]
    plan: PlanFindings | None = None
    verification: Verification | None = None

    @property
    def undone_by(self) -> str | None:
        """The id of the last undo of the job that has finished, None where there is none."""
        ids = [
            made.job_id
            for made, job in self.children
            if made.kind == Kind.UNDO and job and job.state is JobState.FINISHED
        ]
        return ids[-1] if ids else None

    def explanation(self, shared_rate: float | None = None) -> str:
        """Return what the job waits for, else the reason for its state; `shared_rate` is in requests a minute."""
        return waiting_for(self.job, self.idle, shared_rate=shared_rate) or reason_of(self.job) or ""


class JobPage(NamedTuple):
    """Jobs, the last one that was looked at, behind which the next page begins, and whether there may be more."""

    jobs: list[JobSeen]
    last: str
    has_more: bool


async def see_job(session: Session, job_id: str) -> JobSeen:
    """Return a job with what was made of it.

    Raises:
        NoSuchJob: there is no such job.

    """
    (seen,) = await see_jobs(session, [job_id])
    if seen is None:
        raise NoSuchJob(job_id)
    return seen


async def see_jobs(session: Session, job_ids: Sequence[str]) -> list[JobSeen | None]:
    """Return each of the jobs as `see_job` does, many in a round trip; None for one that is not there."""
    ledger = session.ledger
    read = await read_seen(ledger.redis, job_ids)
    seen = list[JobSeen | None]()
    for each, listed in zip(read.jobs, await _with_children(session, read), strict=True):
        if each is None or listed is None:
            seen.append(None)
            continue
        is_verify = each.job.spec.kind is Kind.VERIFY
        verification = Verification(each.job) if is_verify else await verification_among(ledger, each.made)
        seen.append(listed._replace(plan=await plan_findings(ledger, each.job), verification=verification))
    return seen


async def list_jobs(session: Session, number: int, wanted: JobFilter = ANY_JOB) -> list[JobSeen]:
    """Return so many of the jobs at most that are asked for, the newest first, each with what was made of it."""
    return await _seen(session, await latest_jobs(session, number, wanted))


async def _seen(session: Session, jobs: Sequence[Job]) -> list[JobSeen]:
    """Return jobs with what was made of each."""
    read = await read_made(session.ledger.redis, jobs)
    return [seen for seen in await _with_children(session, read) if seen]


async def _with_children(session: Session, read: Seen) -> list[JobSeen | None]:
    """Return jobs with the latest of those that were made of each, all of which are read together."""
    idle = why_none_works(read.workers)
    ids = list(dict.fromkeys(made.job_id for each in read.jobs if each for made in each.made[-SHOWN_MADE:]))
    children = dict(zip(ids, await session.ledger.jobs.read(ids), strict=True))
    return [
        each and JobSeen(each.job, idle, [ChildJob(made, children[made.job_id]) for made in each.made[-SHOWN_MADE:]])
        for each in read.jobs
    ]


def seen_facts(seen: JobSeen) -> dict[str, Any]:
    """Return a job with what was made of it as JSON takes it."""
    children = [
        {"job_id": made.job_id, "kind": made.kind, "state": str(job.state) if job else None}
        for made, job in seen.children
    ]
    plan = plan_facts(seen.job, seen.plan) if seen.plan else {}
    verification = verification_facts(seen.verification) if seen.verification else None
    return job_facts(seen.job) | {"children": children, "verification": verification} | plan


def may_touch(spec: JobSpec, key: str) -> bool:
    """Return whether a job may change a metadata key: it names it, replaces whole maps, or names more than it keeps.

    Of a job of release one nobody knows, so that it may.
    """
    return spec.keys is None or spec.more_keys or spec.mode is Mode.REPLACE or key in spec.keys


async def count_active(session: Session) -> Counter[JobState]:
    """Return how many jobs are in each of the states of `AMONG_ACTIVE`; empty where so many are that it takes long."""
    ids = await session.ledger.jobs.active()
    jobs = await session.ledger.jobs.read(ids) if len(ids) <= LOOKED_AT else []
    return Counter(job.state for job in jobs if job and job.state in AMONG_ACTIVE)


async def latest_jobs(session: Session, number: int, wanted: JobFilter = ANY_JOB) -> list[Job]:
    """Return so many of the jobs at most that are asked for, the newest first."""
    if wanted == ANY_JOB:
        return await session.ledger.jobs.latest(number)
    found: list[Job] = []
    async for _, job in _read_in_groups(session, _candidates(session, wanted), number):
        found += [job] if job and wanted.matches(job) else []
        if len(found) == number:
            break
    return found


async def page_of_jobs(session: Session, number: int, wanted: JobFilter = ANY_JOB, *, after: str = "") -> JobPage:
    """Return so many of the jobs at most that are asked for, the newest first, beginning behind the job `after`.

    It looks at `LOOKED_AT` jobs at most, at fewer where that takes long, so that a page may be short although more
    follow.
    """
    deadline = time.monotonic() + LOOK_FOR_S
    found, last, looked_at = list[Job](), after, 0
    before = await _submission(session, after) if after else None
    async for job_id, job in _read_in_groups(session, _candidates(session, wanted, before), number + 1):
        late = looked_at >= LEAST_LOOKED_AT and time.monotonic() > deadline
        if len(found) == number or looked_at == LOOKED_AT or late:
            return JobPage(await _seen(session, found), last, has_more=True)
        last, looked_at = job_id, looked_at + 1
        found += [job] if job and wanted.matches(job) else []
    return JobPage(await _seen(session, found), last, has_more=False)


def _candidates(session: Session, wanted: JobFilter, before: Submission | None = None) -> AsyncIterator[Submission]:
    """Return the jobs that may be asked for, the newest first."""
    only_active = wanted.states and wanted.states <= AMONG_ACTIVE
    submissions = newest_active if only_active else newest_first
    return submissions(session.ledger.redis, since=wanted.since, before=before)


async def _read_in_groups(
    session: Session, submissions: AsyncIterator[Submission], first: int
) -> AsyncIterator[tuple[str, Job | None]]:
    """Yield submitted jobs as they stand, None for one that is gone: so many in the first round trip, more in later."""
    group, size = list[str](), first
    async for submission in submissions:
        group.append(submission.job_id)
        if len(group) == size:
            for pair in zip(group, await session.ledger.jobs.read(group), strict=True):
                yield pair
            group, size = [], READ_TOGETHER
    for pair in zip(group, await session.ledger.jobs.read(group), strict=True):
        yield pair


async def _submission(session: Session, job_id: str) -> Submission:
    """Return the place of a job in the list; of one that has left it, where it must have been."""
    place = await submission_of(session.ledger.redis, job_id)
    if place is None and (at := submitted_at(job_id)) is not None:
        place = Submission(job_id, at + 1)  # its id has no fraction of a second: rather a job twice than none
    if place is None:
        raise InvalidInput(f"{printable(job_id, SHOWN_CHARS)!r} is no job to go on behind; take `last_id` of a page.")
    return place


async def job_log(session: Session, job_id: str) -> list[AuditLine]:
    """Return who changed the job, when and why, the oldest change first.

    Raises:
        NoSuchJob: there is no such job.

    """
    await session.ledger.jobs.get(job_id)
    return await session.ledger.audit.read(job_id)
