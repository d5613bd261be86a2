"""What the console shows instead of a page: each with a text of its own, as a page for browsers only."""

from __future__ import annotations

import re

import pytest

from ledger.keys import JobKeys
from ledger.row import Outcome

FILE = "id,team\nchatcmpl-1,a\nchatcmpl-2,b\n"
EXPIRED = "20200101-000000-00000000"


@pytest.mark.parametrize("path", ["/nothing", "/jobs/x/y/z", "/static/nothing.js", "/sign-out"])
async def test_a_browser_that_asks_for_nothing_of_ours_gets_a_page(person, path):
    """With the way back; a program gets the problem of the HTTP API."""
    async with await person("read") as client:
        page = await client.get(path)
        problem = await client.get(path, headers={"Accept": "*/*"})

    assert page.status_code == problem.status_code == (405 if path == "/sign-out" else 404)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<a href="/">Home</a>' in page.text
    assert "ada (token p-read)" in page.text
    assert problem.headers["content-type"] == "application/problem+json"


async def test_the_http_api_answers_a_browser_as_everybody(person):
    """With problems of its own, which programs read."""
    async with await person("read") as client:
        for path in ("/v1/nothing", "/v1/jobs/nothing"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_unknown_expired_and_lost_jobs_have_a_text_each(person, make_job, ledger):
    """And rows of a lost job are not said to be none."""
    job = await make_job(FILE, {0: Outcome.UPDATED})
    await ledger.redis.delete(JobKeys(job.job_id).shards, JobKeys(job.job_id).outcomes)
    async with await person("read", "control") as client:
        unknown, expired, lost = [
            await client.get(f"/jobs/{each}") for each in ("20991231-000000-12345678", EXPIRED, job.job_id)
        ]
        acting = [await client.get(f"/jobs/{each}/actions/pause") for each in ("nothing", EXPIRED, job.job_id)]

    assert (unknown.status_code, expired.status_code, lost.status_code) == (404, 410, 200)
    assert "No job ever had this id" in unknown.text
    assert "kept no more" in expired.text
    assert "RELABEL_ARCHIVE__DIR" in expired.text
    assert "Redis lost rows of this job, so they cannot be shown" in lost.text
    assert "/actions/" not in lost.text
    assert [page.status_code for page in acting] == [404, 410, 200]
    assert "Redis lost rows of this job, so nothing can be done with it" in acting[2].text


async def test_a_bad_filter_says_what_is_wrong(person, make_job):
    """As a page that names it, with its status."""
    job = await make_job(FILE)
    paths = ["/jobs?state=odd", "/jobs?since=yesterday", "/jobs?after=nonsense"]
    paths += [f"/jobs/{job.job_id}?outcome=odd", f"/jobs/{job.job_id}?after=odd"]
    async with await person("read") as client:
        pages = [await client.get(path) for path in paths]

    assert [page.status_code for page in pages] == [422] * 5
    for page in pages:
        assert re.search("<h1>.+</h1>", page.text)
        assert page.headers["content-type"].startswith("text/html")
