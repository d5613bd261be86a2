"""Reading the list for a plan where it cannot be read: who waits, who pauses it, and when it ends."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from config.settings import Settings
from ledger.job import JobState
from ledger.keys import JobKeys
from ledger.list_reads import MOST_CRASHES
from relabel.apply import applicable_plan
from relabel.errors import InvalidInput
from relabel.plan_selection import plan_selection
from relabel.session import Session
from relabel.submit import FileOptions
from report.digest import job_digest
from sandbox import Sandbox, SandboxOptions
from tasks.selection import Reader
from tasks.shard import Process

ASKED = {"where": 'metadata.team == "search"', "set": {"dataset": "eval"}}


@pytest.fixture
def plan(ledger, redis_url, broker_url, tmp_path):
    """Submit a plan for an API, and let a worker with a key take a turn at it."""

    async def take(base_url, key="sk-right-key-0123456789", before=None):
        settings = Settings(
            _env_file=None,
            OPENAI_BASE_URL=base_url,
            OPENAI_API_KEY=SecretStr(key) if key else None,
            redis={"url": redis_url},
            broker_url=broker_url,
            state_dir=tmp_path,
        )
        job_id = await plan_selection(Session(ledger, settings, "ada"), ASKED, FileOptions(("selection",)))
        if before:
            await ledger.redis.hset(JobKeys(job_id).job, mapping=before)
        await Reader(settings, Process(settings), ledger, job_id).read()
        return await ledger.jobs.get(job_id)

    return take


async def test_a_refused_key_pauses_it(plan):
    """With the reason, which names whose key it is; so does a worker without one."""
    async with Sandbox(SandboxOptions(api_key="sk-right-key-0123456789")) as sandbox:
        refused = await plan(sandbox.base_url, "sk-wrong-key-0123456789")
        without = await plan(sandbox.base_url, "")

    assert (refused.state, refused.reason_code) == (JobState.PAUSED, "invalid_api_key")
    assert "correct the key" in refused.reason
    assert (without.state, without.reason_code) == (JobState.PAUSED, "key_unavailable")


async def test_a_plan_of_nothing_has_the_digest_of_no_rows_and_is_not_applied(plan, ledger):
    """As soon as it has finished, as any other plan; the refusal says why."""
    async with Sandbox(SandboxOptions(api_key="sk-right-key-0123456789")) as sandbox:
        found = await plan(sandbox.base_url)

    assert (found.state, found.counts.total) == (JobState.FINISHED, 0)
    assert found.digest == job_digest(found.spec.target, found.spec.mode, [])
    with pytest.raises(InvalidInput, match="would change nothing, so there is nothing to apply"):
        await applicable_plan(Session(ledger, Settings(_env_file=None), "ada"), found.spec.job_id, here=False)


@pytest.mark.whole
async def test_an_api_that_does_not_answer_is_waited_for(plan):
    """For a quarter of an hour without a page; then it pauses."""
    waits = await plan("http://127.0.0.1:9/v1")
    paused = await plan("http://127.0.0.1:9/v1", before={"read_at": "1.0"})

    assert waits.state is JobState.SUBMITTING
    assert waits.selection.found.waits_for
    assert paused.state is JobState.PAUSED
    assert "cannot be read" in paused.reason


async def test_a_list_at_which_workers_die_ends_it(plan, ledger):
    """With the reason; it is an active job no more."""
    job = await plan("http://127.0.0.1:9/v1", before={"reading": str(MOST_CRASHES)})

    assert (job.state, job.reason_code) == (JobState.CANCELLED, "worker_crash")
    assert await ledger.jobs.active() == []
