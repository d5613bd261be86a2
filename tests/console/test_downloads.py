"""Files that are offered on a job's page: for somebody with a browser, what goes wrong is a page."""

from __future__ import annotations

import re

import pytest

from ledger.row import Outcome

FILE = "id,team\nchatcmpl-1,a\nchatcmpl-2,b\n"
ENDED = dict.fromkeys(range(2), Outcome.UPDATED)


async def test_each_file_that_a_page_offers_is_the_one_of_the_http_api(person, make_job):
    """With a name under which it is saved."""
    job = await make_job(FILE, ENDED)
    async with await person("read") as client:
        pages = [await client.get(f"/jobs/{job.job_id}"), await client.get(f"/jobs/{job.job_id}/receipt")]
        links = (re.findall(r'href="([^"]*/(?:report\?|receipt\.json)[^"]*)"', page.text) for page in pages)
        offered = {path for found in links for path in found}
        files = {path: await client.get(path.replace("&amp;", "&")) for path in offered}
        report = await client.get(f"/v1/jobs/{job.job_id}/report?format=jsonl")
        receipt = (await client.get(f"/v1/jobs/{job.job_id}/receipt")).json()

    base = f"/jobs/{job.job_id}"
    assert {f"{base}/report?format=csv", f"{base}/report?format=jsonl", f"{base}/receipt.json"} <= offered
    for file in files.values():
        assert (file.status_code, file.headers["content-disposition"].split(";")[0]) == (200, "attachment")
    assert files[f"{base}/report?format=jsonl"].text == report.text
    made = files[f"{base}/receipt.json"].json()
    assert made["digests"] == receipt["digests"]
    assert made.keys() == receipt.keys()


@pytest.mark.parametrize("file", ["report?format=csv", "receipt.json"])
async def test_a_file_that_cannot_be_made_is_a_page(person, make_job, file):
    """With what to do; who is not signed in gets to the form, and back."""
    running = await make_job(FILE)
    async with await person("read") as client:
        unknown = await client.get(f"/jobs/20991231-000000-12345678/{file}")
        early = await client.get(f"/jobs/{running.job_id}/{file}") if file == "receipt.json" else unknown
        client.cookies.clear()
        signed_out = await client.get(f"/jobs/{running.job_id}/{file}")

    assert (unknown.status_code, "No job ever had this id" in unknown.text) == (404, True)
    assert early.status_code in {404, 409}
    assert {page.headers["content-type"] for page in (unknown, early, signed_out)} == {"text/html; charset=utf-8"}
    assert (signed_out.url.path, signed_out.url.params["next"]) == ("/sign-in", f"/jobs/{running.job_id}/{file}")


async def test_a_name_that_is_not_ours_is_answered_with_a_page(person):
    """In a browser, which says what to set; programs get the problem of the HTTP API."""
    async with await person("read") as client:
        page = await client.get("/", headers={"Host": "relabel.example"})
        program = await client.get("/", headers={"Host": "relabel.example", "Accept": "*/*"})
        api = await client.get("/v1/jobs", headers={"Host": "relabel.example"})

    assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "RELABEL_WEB__ALLOWED_HOSTS" in page.text
    assert "ada" not in page.text
    for problem in (program, api):
        assert (problem.status_code, problem.json()["code"]) == (403, "host_not_allowed")
