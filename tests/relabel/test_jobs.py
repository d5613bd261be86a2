"""The jobs that are asked for are found among all that are kept: by state, time, person, name and key."""

from __future__ import annotations

import random
from itertools import combinations

import msgspec
import pytest

from config.settings import Settings
from ledger.job import JobState
from ledger.job_spec import Mode
from ledger.keys import JOBS, JobKeys
from ledger.person import unverified
from relabel.jobs import AMONG_ACTIVE, JobFilter, latest_jobs, page_of_jobs
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


async def test_jobs_that_have_not_ended_are_the_same_page_by_page_as_among_all(session):
    """Whichever of their states are asked for, where many were submitted in one moment, and where some are gone."""
    chance = random.Random(7)
    redis, store = session.ledger.redis, session.ledger.job_store
    spec = await session.ledger.jobs.spec("old")
    for job_id in (f"job-{number}" for number in range(40)):
        await store.create(msgspec.structs.replace(spec, job_id=job_id))
        state = chance.choice(list(JobState)[:-1])
        if state is not JobState.SUBMITTING:
            await store.open(job_id)
            await redis.hset(JobKeys(job_id).job, "state", state)
        if state.ended:
            await session.ledger.jobs.retire(job_id)
        await redis.zadd(JOBS, {job_id: chance.randrange(1000, 1006)})
    await redis.unlink(JobKeys("job-3").job)
    every = await latest_jobs(session, 100)

    for number in range(1, len(AMONG_ACTIVE) + 1):
        for states in map(frozenset, combinations(AMONG_ACTIVE, number)):
            for since in (0.0, 1003.0):
                wanted = JobFilter(states, since)
                fit = [job.spec.job_id for job in every if job.state in states]
                places = await redis.zmscore(JOBS, fit) if fit else []
                expected = [job_id for job_id, at in zip(fit, places, strict=True) if at >= since]
                assert await _pages(session, wanted, chance.randint(1, 5)) == expected
                assert [job.spec.job_id for job in await latest_jobs(session, 100, wanted)] == expected


async def _pages(session, wanted, size):
    """Return the ids of a list that is read page by page."""
    found, after, more = list[str](), "", True
    while more:
        page = await page_of_jobs(session, size, wanted, after=after)
        assert len(page.jobs) == size or not page.has_more
        found += [seen.job.spec.job_id for seen in page.jobs]
        after, more = page.last, page.has_more
    return found
