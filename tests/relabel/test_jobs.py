"""The jobs that are asked for are found among all that are kept: by state, time, person, name and key."""

from __future__ import annotations

import msgspec
import pytest

from config.settings import Settings
from ledger.job import JobState
from ledger.job_spec import Mode
from ledger.keys import JOBS
from ledger.person import unverified
from relabel.jobs import JobFilter, latest_jobs
from relabel.session import Session

JOBS_MADE = {
    "old": {"by": "ada@laptop", "name": "first.csv", "keys": ["team"]},
    "bob": {"by": "bob@desk", "name": "Second.csv", "keys": ["draft", "team"]},
    "replace": {"by": unverified("bob@desk"), "name": "third", "keys": ["draft"], "mode": Mode.REPLACE},
    "wide": {"by": "ada@laptop", "name": "wide", "keys": ["a"], "more_keys": True},
    "release-one": {"by": "", "name": "fifth", "keys": None},
}
"""In the order of their submission; `bob` is paused, `old` was submitted long ago."""


@pytest.fixture
async def session(harness, completion_id):
    """A ledger with these jobs."""
    spec = (await harness.job(await harness.submit((completion_id, {"team": "x"})))).spec
    await harness.redis.zrem(JOBS, spec.job_id)
    for number, (job_id, facts) in enumerate(JOBS_MADE.items(), 1):
        await harness.ledger.job_store.create(msgspec.structs.replace(spec, job_id=job_id, **facts))
        await harness.ledger.job_store.open(job_id)
        await harness.redis.zadd(JOBS, {job_id: number * 1000})
    await harness.ledger.jobs.pause("bob", by="bob@desk", code="paused", reason="by bob@desk")
    await harness.redis.zadd(JOBS, {"expired": 9000})
    return Session(harness.ledger, Settings(_env_file=None), "ada@laptop")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"states": frozenset({JobState.PAUSED})}, ["bob"]),
        ({"states": frozenset({JobState.FINISHED, JobState.HELD})}, []),
        ({"since": 4000.0}, ["release-one", "wide"]),
        ({"by": "ada"}, ["wide", "old"]),
        ({"by": "bob@desk"}, ["replace", "bob"]),
        ({"by": "bob@elsewhere"}, []),
        ({"name": "SECOND"}, ["bob"]),
        ({"key": "team"}, ["release-one", "wide", "replace", "bob", "old"]),
        ({"key": "draft"}, ["release-one", "wide", "replace", "bob"]),
        ({"key": "draft", "by": "bob", "states": frozenset({JobState.RUNNING})}, ["replace"]),
    ],
)
async def test_jobs_are_found_newest_first_by_what_is_known_of_them(session, wanted, found):
    """One whose keys are not all known may touch any key, and so does a replace."""
    jobs = await latest_jobs(session, 20, JobFilter(**wanted))

    assert [job.spec.job_id for job in jobs] == found


async def test_no_more_jobs_are_read_than_are_asked_for(session):
    """The newest ones that fit."""
    jobs = await latest_jobs(session, 1, JobFilter(by="ada"))

    assert [job.spec.job_id for job in jobs] == ["wide"]
