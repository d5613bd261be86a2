"""A job is followed to its end, and its end is shown with the counts that stay."""

from __future__ import annotations

import asyncio

import pytest

from config.settings import Settings
from ledger.job import JobState
from ledger.row import Outcome
from relabel.session import Session
from relabel.snapshots import job_snapshots


@pytest.fixture
def session(harness):
    """A session in the ledger of the workers."""
    return Session(harness.ledger, Settings(_env_file=None), "ada@laptop")


async def test_a_cancelled_job_is_shown_once_its_last_rows_have_ended(harness, session, completion_id):
    """Workers end them a moment after the cancellation; counts with open rows would be the last ones seen."""
    job_id = await harness.submit((completion_id, {"team": "x"}))
    snapshots = job_snapshots(session, job_id, every_s=0.01)
    first = await anext(snapshots)

    await harness.ledger.jobs.cancel(job_id, by="ada@laptop", reason="wrong column")
    following = asyncio.create_task(anext(snapshots))
    assert (await asyncio.wait({following}, timeout=0.2))[0] == set()
    await harness.ledger.shards.close_all(first.job.spec, Outcome.CANCELLED)

    last = await following
    assert (last.job.state, last.job.counts.cancelled, last.job.counts.pending) == (JobState.CANCELLED, 1, 0)
    assert last.explanation() == "cancelled: wrong column (ada@laptop)"
    assert [seen async for seen in snapshots] == []


async def test_rows_that_nobody_ends_are_not_waited_for_without_end(harness, session, completion_id):
    """Where the command that cancelled the job was killed and no worker is there."""
    job_id = await harness.submit((completion_id, {"team": "x"}))
    await harness.ledger.jobs.cancel(job_id, by="ada@laptop")

    seen = [snapshot async for snapshot in job_snapshots(session, job_id, every_s=0.01, close_within_s=0.03)]

    assert [snapshot.job.counts.pending for snapshot in seen] == [1]
