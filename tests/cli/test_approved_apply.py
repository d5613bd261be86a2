"""A plan whose apply needs approval: with a deployed worker that would carry it out at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from ledger.ledger import Ledger
from tests.cli.deployed import Deploy, DeployedCommand
from tests.harness.idle_worker import redis_url  # noqa: F401 - a fixture

IDS = [f"chatcmpl-EUL7LH3wC39LYNbTfcOm9Q7XHpgq{letter}" for letter in "ABC"]
BEFORE, AFTER = ({each: {"team": team} for each in IDS} for team in ("blue", "green"))
ROWS = "".join(json.dumps({"id": each, "metadata": {"team": "green"}}) + "\n" for each in IDS)
ADA = {"RELABEL_USER": "ada", "RELABEL_APPROVAL__ABOVE_ROWS": "2"}
LEAD = {"RELABEL_USER": "lead", "RELABEL_APPROVAL__ALLOW_LOCAL": "true"}


@pytest.fixture
async def planner(deploy: Deploy) -> AsyncIterator[DeployedCommand]:
    """The command of somebody whose jobs of more than two rows need approval, and an API with three completions."""
    async with deploy(BEFORE, IDS, **ADA) as command:
        yield command


async def test_nothing_is_written_before_somebody_else_approved_the_plan(planner: DeployedCommand) -> None:
    """The plan waits for nobody, its apply does, the undo does not; the receipt names who approved what."""
    plan = await planner.facts("plan", planner.file(ROWS))
    held = await planner.facts("apply", plan["job_id"], "--yes", code=3)
    assert (held["state"], held["reason_code"], held["approval_digest"]) == ("held", "needs_approval", plan["digest"])
    again = await planner.facts("apply", plan["job_id"], "--yes", code=3)
    assert again["job_id"] == held["job_id"]

    asked = len(planner.sandbox.log.entries)
    approved = await planner("approve", held["job_id"], "--yes", **LEAD)
    assert approved.code == 0, approved.err
    assert "team: blue -> green  (3 rows)" in approved.err
    assert {entry.method for entry in list(planner.sandbox.log.entries)[:asked]} == {"GET"}
    assert (await planner("watch", held["job_id"])).code == 0
    assert planner.sandbox.store.dump() == AFTER

    receipt = json.loads((await planner("receipt", held["job_id"])).out)
    assert receipt["job"]["approval"]["approved_by"] == "lead (unverified)"
    assert receipt["job"]["approval"]["digest"] == receipt["plan"]["digest"]

    undo = await planner.facts("undo", held["job_id"])
    assert (await planner("watch", undo["job_id"])).code == 0
    assert planner.sandbox.store.dump() == BEFORE


async def test_a_retry_of_an_approved_job_needs_approval_again(planner: DeployedCommand, ledger: Ledger) -> None:
    """It is another job."""
    planner.sandbox.store.load({})
    for each in IDS:
        planner.sandbox.store.delete(each)
    job = (await planner("submit", planner.file(ROWS), "--again")).out.strip()
    assert (await planner("approve", job, "--yes", **LEAD)).code == 0
    assert (await planner("watch", job)).code == 1

    retried = await planner.facts("retry", job, "--all", code=3)

    assert (retried["kind"], retried["state"], retried["reason_code"]) == ("retry", "held", "needs_approval")
    await ledger.jobs.cancel(retried["job_id"], by="test")
