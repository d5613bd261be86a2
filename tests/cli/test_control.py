"""Jobs that are paused, resumed and cancelled: each change is in the job's log, with who and why."""

from __future__ import annotations

import json

import pytest

from config.settings import Settings
from ledger.codec import BeforeImage
from ledger.job import JobState
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.row import Outcome
from relabel import control
from relabel.advice import next_step
from relabel.session import Session
from sandbox import Sandbox, SandboxOptions
from tests.harness.rows import lines

CSV = lines("blue", "blue", "red", header="completion_id,team")


async def test_each_change_is_written_down_once(make_job, ledger: Ledger) -> None:
    """A job that is interrupted twice and resumed twice changed twice."""
    job_id = (await make_job(CSV, {0: Outcome.UPDATED})).job_id

    session = Session(ledger, Settings(), "ada@a")
    await control.pause_interrupted(session, job_id, "its `relabel run` ended in mid-job")
    await control.pause_interrupted(session, job_id, "again")
    job = await ledger.jobs.get(job_id)
    assert job.state is JobState.PAUSED
    assert job.reason.endswith(f"go on with `relabel run --resume {job_id}`")

    assert (await control.resume(session, job_id)).had is JobState.PAUSED
    assert (await control.resume(session, job_id)).had is JobState.RUNNING

    lines = [(line.who, line.verb, line.why) for line in await ledger.audit.read(job_id)]
    assert lines == [
        ("ada@a", "pause", "its `relabel run` ended in mid-job"),
        ("ada@a", "resume", f"was paused, interrupted: {job.reason}; rows: updated 1, open 2"),
    ]


async def test_cancel_tells_rows_that_may_have_been_written_from_those_that_were_not_sent(
    make_job, ledger: Ledger, relabel
) -> None:
    """One had its before-image kept when its worker died; status and the report say so, too."""
    spec = await make_job(CSV, {2: Outcome.UPDATED})
    await ledger.shards.lease(spec.job_id, 0, "dead")
    shard = await ledger.shards.load(spec.job_id, 0, "dead")
    await ledger.settlements.journal(shard, [BeforeImage(1, {"team": "old"})], [])
    await ledger.redis.zadd(JobKeys(spec.job_id).leased, {"0": 1})

    ended = await relabel("cancel", spec.job_id, "--json")

    facts = json.loads(ended.out)
    assert (ended.code, facts["state"], facts["may_have_been_written"]) == (0, "cancelled", 1)
    assert (facts["rows"]["cancelled"], facts["rows"]["updated"]) == (2, 1)
    assert "1 row not sent, 1 updated before, 1 may have been written" in ended.err
    assert "1 cancelled row may have been written" in (await relabel("status", spec.job_id)).out
    report = (await relabel("report", spec.job_id, "--only", "cancelled", "-o", "-")).out.splitlines()
    assert ["may_have_been_written" in line for line in report] == [False, False, True]


@pytest.mark.parametrize("verb", [("resume", "{}", "--run"), ("run", "--resume", "{}")])
async def test_a_job_for_another_url_is_not_resumed_here_but_told_of(make_job, ledger: Ledger, relabel, verb) -> None:
    """Its worker would pause it again: both URLs are named, and what to do where the job's is the wrong one."""
    job_id = (await make_job(CSV)).job_id
    await ledger.jobs.pause(job_id, by="test", code="unknown_url", reason="Invalid URL")

    async with Sandbox(SandboxOptions(api_key="sk-test")) as api:
        settings = {"OPENAI_BASE_URL": api.base_url, "OPENAI_API_KEY": "sk-test"}
        ended = await relabel(*(part.format(job_id) for part in verb), **settings)

    assert ended.code == 2
    assert "is for https://api.openai.com/v1" in ended.err
    assert api.base_url in ended.err
    assert f"`relabel cancel {job_id}`" in ended.err
    assert (await ledger.jobs.get(job_id)).state is JobState.PAUSED


@pytest.mark.parametrize("code", ["unknown_url", "redirect", "other_target"])
async def test_a_job_that_may_carry_the_wrong_url_says_so(make_job, ledger: Ledger, code) -> None:
    """Resuming alone mends nothing: a job keeps its URL."""
    job_id = (await make_job(CSV)).job_id
    await ledger.jobs.pause(job_id, by="test", code=code, reason="no")

    said = next_step(await ledger.jobs.get(job_id))

    assert "https://api.openai.com/v1" in said
    assert f"`relabel cancel {job_id}`" in said
    assert f"`relabel resume {job_id}`" in said
