"""A submission says where another active job changes the same completions."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.preview_view import show_overlaps
from ledger.keys import JobKeys
from ledger.row import Outcome
from producer.overlap import ROWS_OF_A_SEARCH, Overlap, Overlaps, find_overlaps

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

    ended = await relabel("submit", "--yes", mine, **API)

    warning = f"Warning: job {spec.job_id}, which has not ended, changes 4 completions of these, too (lines 3, 4, 6)"
    assert warning in ended.err
    assert "a-5" not in ended.err
    assert (ended.code, len(ended.out.split())) == (0, 1)


async def test_jobs_that_ended_or_call_another_api_are_no_reason_to_warn(relabel, make_job, ledger, mine):
    """Nor is the job itself, where it is found again, which is said in one line though the log is narrow."""
    ended = await make_job(OTHER)
    await ledger.jobs.cancel(ended.job_id, by="test")

    first = await relabel("submit", "--yes", mine, **API)
    again = await relabel("submit", "--yes", mine, COLUMNS="40", **API)
    elsewhere = await relabel("submit", "--yes", mine, OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert first.out == again.out
    job_id = first.out.strip()
    before = f"This file was submitted before, with the same options, as job {job_id}, which is running"
    assert f"{before}; `relabel watch {job_id}` follows it." in again.err.replace("\n", " ")
    for said in (first.err, again.err, elsewhere.err):
        assert "has not ended" not in said


async def test_it_is_said_before_anything_is_stored(relabel, make_job, ledger, mine):
    """Whoever sees it may still say no: with a Redis that takes no writes, the warning comes and the job does not."""
    spec = await make_job(OTHER)
    await ledger.redis.config_set("min-replicas-to-write", 1)
    try:
        ended = await relabel("submit", "--yes", mine, **API)
    finally:
        await ledger.redis.config_set("min-replicas-to-write", 0)

    assert f"Warning: job {spec.job_id}" in ended.err
    assert (ended.code, ended.out) == (4, "")
    assert len(await ledger.jobs.latest(10)) == 1


async def test_a_comparison_that_takes_too_long_is_broken_off_and_said(make_job, ledger, read):
    """Its time is bounded, whatever the size of the jobs; what was found until then is told as the least there is."""
    spec = await make_job(OTHER)

    with read(MINE) as checked:
        overlaps = await find_overlaps(checked, API["OPENAI_BASE_URL"], ledger=ledger, within_s=-1.0)

    assert overlaps == Overlaps([], [spec.job_id])
    out = io.StringIO()
    show_overlaps(Overlaps([Overlap(spec.job_id, 2, [3, 4])], overlaps.unread), Console(file=out, width=200))
    assert "changes at least 2 completions of these, too (lines 3, 4)" in out.getvalue()
    assert f"Not compared with all rows of job {spec.job_id}: they are too many for 10 s." in out.getvalue()


async def test_large_files_are_compared_exactly(make_job, ledger, read):
    """More ids than a bucket holds; those of the other job lie far apart, and some are not among them."""
    other = "id,team\n" + "".join(f"c-{n},x\n" for n in range(0, 80_000, 2000))
    spec = await make_job(other)

    with read("id,note\n" + "".join(f"c-{n},x\n" for n in range(1, 70_000))) as checked:
        overlaps = await find_overlaps(checked, API["OPENAI_BASE_URL"], ledger=ledger, within_s=600)

    assert overlaps == Overlaps([Overlap(spec.job_id, 34, [2001, 4001, 6001])], [])


@pytest.mark.parametrize("has_index", [True, False])
async def test_few_completions_are_searched_in_the_index_of_a_large_job(make_job, read, ledger, has_index):
    """And found alike where it has none: only rows that have not ended count."""
    rows = "".join(f"a-{number},x\n" for number in range(ROWS_OF_A_SEARCH * 3))
    spec = await make_job(f"id,team\n{rows}", {1: Outcome.UPDATED})
    if not has_index:
        await ledger.redis.delete(JobKeys(spec.job_id).row_index)

    with read("id,note\na-0,x\na-1,x\n", "few.csv") as checked:
        found = await find_overlaps(checked, spec.target, ledger=ledger)

    assert found == Overlaps([Overlap(spec.job_id, 1, [2])], [])
