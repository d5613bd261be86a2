"""A lead finds a job that waits for approval, sees what it would do, and approves it in a browser."""

from __future__ import annotations

import asyncio

import pytest

from ledger.approval import ApprovalRule
from ledger.person import unverified
from tests.harness.rows import PatchRows

FILE = "id,team\n" + "".join(f"{each},t\n" for each in PatchRows(4).ids)
look = asyncio.to_thread


@pytest.mark.promise
async def test_a_lead_approves_what_somebody_else_submitted(browser, ledger, new_token, make_job):
    """Home says who waits, the page of the approval what for; the submitter's button is disabled, with the reason."""
    job = await make_job(FILE, by=unverified("bob@laptop"), approval=ApprovalRule(3))

    async def be(owner: str) -> None:
        token = await new_token("approve", "control", name=owner, owner=owner)
        await look(browser.be, await ledger.browser_sessions.begin(token))

    await be("bob")
    own = await look(browser.open, f"/jobs/{job.job_id}", until="To approve")
    assert "Not yours to approve: you have submitted this job" in own
    assert await look(browser.faults, "approval-own") == []
    await look(browser.open, f"/jobs/{job.job_id}/actions/approve", until="You have submitted this job")

    await be("lead")
    home = await look(browser.open, "/", until="Needs somebody")
    assert "somebody other than bob@laptop has to approve it" in home
    assert "bob@laptop (unverified)" in home
    await look(browser.click, "Approve")
    asked = await look(browser.until, "Your approval is for the digest")
    assert job.fingerprint in asked
    assert "4 rows will be carried out" in asked
    assert await look(browser.faults, "approve") == []
    await look(browser.click, "Approve")
    approved = await look(browser.until, "Approved")
    assert "by lead (token lead)" in approved
    assert approved.count("Approved") == 1
    assert await look(browser.faults, "job-approved") == []
    assert (await ledger.jobs.get(job.job_id)).approval.approved_by == "lead (token lead)"
