"""A submission says where another active job changes the same completions."""

from __future__ import annotations

import pytest

from ledger.row import Outcome

API = {"OPENAI_BASE_URL": "https://api.openai.com/v1"}
OTHER = "id,team\na-1,x\na-2,x\na-3,x\na-4,x\na-5,x\n"
MINE = "id,note\nb-1,x\na-5,x\na-4,x\nb-2,x\na-2,x\na-3,x\na-1,x\n"


@pytest.fixture
def mine(tmp_path):
    """A file that shares five completions with the other job."""
    (tmp_path / "mine.csv").write_text(MINE)
    return "mine.csv"


async def test_the_same_completions_in_an_active_job_are_counted_with_lines_of_the_file(relabel, make_job, mine):
    """Only rows that have not ended; three lines at most; no id is shown, and standard output is the job's id alone."""
    spec = await make_job(OTHER, {0: Outcome.UPDATED})

    ended = await relabel("submit", mine, **API)

    warning = f"Warning: job {spec.job_id}, which has not ended, changes 4 completions of these, too (lines 3, 4, 6)"
    assert warning in ended.err
    assert "a-5" not in ended.err
    assert (ended.code, len(ended.out.split())) == (0, 1)


async def test_jobs_that_ended_or_call_another_api_are_no_reason_to_warn(relabel, make_job, ledger, mine):
    """Nor is the job itself, where it is found again."""
    ended = await make_job(OTHER)
    await ledger.jobs.cancel(ended.job_id)

    first = await relabel("submit", mine, **API)
    again = await relabel("submit", mine, **API)
    elsewhere = await relabel("submit", mine, OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert first.out == again.out
    for said in (first.err, again.err, elsewhere.err):
        assert "has not ended" not in said


async def test_a_job_that_is_too_large_is_said_to_be_left_out(relabel, make_job, ledger, mine):
    """The comparison has a bound."""
    from ledger.keys import JobKeys

    spec = await make_job(OTHER)
    await ledger.redis.hset(JobKeys(spec.job_id).counts, "total", 1_000_000)

    ended = await relabel("submit", mine, **API)

    assert f"Not compared with job {spec.job_id}: too many rows" in ended.err
