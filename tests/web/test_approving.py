"""Approving over HTTP and in the console: by another person than the submitter, of what was looked at."""

from __future__ import annotations

import re

import pytest

from config.groups import ApprovalSettings
from ledger.approval import ApprovalRule
from ledger.person import by_token
from tests.harness.rows import PatchRows
from tests.web.conftest import in_process, settings_of
from web.callers import SESSION_COOKIE

FILE = "id,team\n" + "".join(f"{each},t\n" for each in PatchRows(4).ids)


@pytest.fixture
async def job(make_job):
    """A job of ada's that waits for its approval."""
    return await make_job(FILE, by=by_token("ada", "ci"), approval=ApprovalRule(3))


async def approve(client, job, status, code=None, **body):
    """Ask for the approval of a job; return the answer."""
    answer = await client.post(f"/v1/jobs/{job.job_id}/approve", json=body or None)
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    return answer.json()


async def test_a_job_is_approved_by_another_person(connect, new_token, job, ledger):
    """Not by another token of its submitter; approving it again says who did."""
    async with connect(await new_token("approve", "control", name="other", owner="ada")) as client:
        await approve(client, job, 403, "own_job")
        resumed = await client.post(f"/v1/jobs/{job.job_id}/resume")
        assert (resumed.status_code, resumed.json()["code"]) == (409, "needs_approval")
        assert (resumed.json()["state"], resumed.json()["actions"][0]) == ("held", "approve")
    async with connect(await new_token("approve", name="lead", owner="lead")) as client:
        await approve(client, job, 409, "other_digest", digest="other")
        approved = await approve(client, job, 200, digest=job.fingerprint)
        assert (approved["state"], approved["approved_by"]) == ("running", "lead (token lead)")
    async with connect(await new_token("approve", name="bob", owner="bob")) as client:
        assert (await approve(client, job, 200))["approved_by"] == "lead (token lead)"

    assert [line.verb for line in await ledger.audit.read(job.job_id)] == ["submit", "approve"]


async def test_what_cannot_be_approved_says_why(connect, new_token, make_job, job, ledger):
    """A job that needs no approval, one that was refused, and one that is not there."""
    plain = await make_job(FILE)
    await ledger.jobs.cancel(job.job_id, by="lead", reason="wrong project")

    async with connect(await new_token("approve", name="lead", owner="lead")) as client:
        assert "needs no approval" in (await approve(client, plain, 409, "wrong_state"))["detail"]
        refused = await approve(client, job, 409, "wrong_state")
        assert (refused["state"], "approve" in refused["actions"]) == ("cancelled", False)
        assert (await client.post("/v1/jobs/none/approve")).status_code == 404


async def test_the_setting_of_the_server_holds_what_is_submitted_there(redis_url, new_token):
    """A person whom a proxy names approves as the owner of a token does; the same person under both names does not."""
    web = {"trusted_proxies": "127.0.0.1", "user_header": "X-User", "proxy_scopes": "submit,approve"}
    settings = settings_of(redis_url, **web).model_copy(update={"approval": ApprovalSettings(above_rows=3)})
    bearer = {"Authorization": f"Bearer {await new_token('submit', name='ci', owner='ada')}"}
    async with in_process(settings) as client:
        options = {"content": FILE, "headers": bearer | {"Content-Type": "text/csv"}}
        submitted = (await client.post("/v1/jobs?confirm=odd_ids", **options)).json()
        assert (submitted["state"], submitted["reason_code"]) == ("held", "needs_approval")

        path = f"/v1/jobs/{submitted['job_id']}/approve"
        own = await client.post(path, headers={"X-User": "Ada@example.org"})
        other = await client.post(path, headers={"X-User": "lead@example.org"})

    assert (own.status_code, own.json()["code"]) == (403, "own_job")
    assert (other.status_code, other.json()["approved_by"]) == (200, "lead@example.org")


async def test_the_console_offers_approval_to_others_only(ledger, new_token, job, redis_url):
    """The submitter is told why not; others see what they approve, and Home says who waits since when."""
    async with in_process(settings_of(redis_url)) as client:

        async def page(path, owner, *scopes):
            session = await ledger.browser_sessions.begin(
                await new_token(*scopes, name=f"{owner}-{len(path)}", owner=owner)
            )
            client.cookies = {SESSION_COOKIE: session}
            return (await client.get(path)).text

        link = f'href="/jobs/{job.job_id}/actions/approve"'
        own = await page(f"/jobs/{job.job_id}", "ada", "approve")
        assert "Not yours to approve: you have submitted this job" in own
        assert link not in own
        without = await page(f"/jobs/{job.job_id}", "bob", "control")
        assert "has not the scope approve" in without
        home = await page("/", "lead", "approve")
        assert link in home
        assert "somebody other than ada has to approve it" in home
        asked = await page(f"/jobs/{job.job_id}/actions/approve", "lead", "approve")
        assert "4 rows will be carried out" in asked
        assert job.fingerprint in asked

        form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked))
        origin = {"Origin": "http://127.0.0.1"}
        done = await client.post(f"/jobs/{job.job_id}/actions/approve", data=form, headers=origin)
        assert done.status_code == 303, done.text

    approved = await ledger.jobs.get(job.job_id)
    assert approved.approval.approved_by.startswith("lead (token")
    assert approved.state == "running"
