"""Finds the job that somebody means: by its id, by the beginning of one, or as the last one that they submitted."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from config.text import printable
from ledger.errors import NoSuchJob
from ledger.job import Job
from ledger.job_search import SEARCHED, ids_beginning_with, latest_id_of
from ledger.job_spec import ALL_KINDS, Kind
from relabel.errors import InvalidInput
from relabel.session import Session
from relabel.wording import duration

LAST = "last"
"""Stands for the latest job that the caller submitted."""
LEAST_CHARS = 4
"""Characters that the beginning of an id needs."""
SHOWN_MATCHES = 5
SHOWN_CHARS = 80


class MeantJob(NamedTuple):
    """A job that was found, and whether it was named by its whole id, or as the last one."""

    job: Job
    by_id: bool
    is_last: bool

    @property
    def job_id(self) -> str:
        """The whole id."""
        return self.job.spec.job_id


async def find_job(session: Session, reference: str, kinds: Container[Kind] = ALL_KINDS) -> MeantJob:
    """Return the job that is meant by a whole id, a beginning that only one job's id has, or `last`.

    `last` is the caller's latest job of these kinds; what is named by its id may be of any.

    Raises:
        NoSuchJob: there is no such job.
        InvalidInput: the beginning is too short, or several jobs have it; or the caller submitted none of the latest.

    """
    jobs = session.ledger.jobs
    if reference == LAST:
        return MeantJob(await jobs.get(await _last_id(session, kinds)), by_id=False, is_last=True)
    try:
        return MeantJob(await jobs.get(reference), by_id=True, is_last=False)
    except NoSuchJob:
        return MeantJob(await jobs.get(await _only_match(session, reference)), by_id=False, is_last=False)


async def described(session: Session, job: Job) -> str:
    """Return a job's id, name, kind, state and age, for those who named it otherwise."""
    spec, age = job.spec, await session.ledger.jobs.now() - job.submitted_at
    name = printable(spec.name, SHOWN_CHARS)
    return f"job {spec.job_id} ({name}): {spec.kind}, {job.state}, submitted {duration(max(0.0, age))} ago"


async def _last_id(session: Session, kinds: Container[Kind]) -> str:
    job_id = await latest_id_of(session.ledger.redis, session.user, kinds)
    if job_id is None:
        fitting = "" if kinds is ALL_KINDS else " that this takes"
        raise InvalidInput(
            f"none of the latest {SEARCHED:,} jobs{fitting} was submitted by {session.user}, so there is no `{LAST}`; "
            "`relabel jobs` lists all."
        )
    return job_id


async def _only_match(session: Session, beginning: str) -> str:
    if len(beginning) < LEAST_CHARS:
        raise InvalidInput(
            f"{printable(beginning, SHOWN_CHARS)!r} is too short for a job; give its id, at least {LEAST_CHARS} "
            f"characters of its beginning, or `{LAST}`."
        )
    ids = await ids_beginning_with(session.ledger.redis, beginning)
    if not ids:
        raise NoSuchJob(beginning)
    if len(ids) > 1:
        shown = ", ".join(printable(job_id, SHOWN_CHARS) for job_id in ids[:SHOWN_MATCHES])
        more = f" and {len(ids) - SHOWN_MATCHES:,} more" if len(ids) > SHOWN_MATCHES else ""
        raise InvalidInput(
            f"{len(ids):,} jobs begin with {printable(beginning, SHOWN_CHARS)}: {shown}{more}; type more of the id."
        )
    return ids[0]
