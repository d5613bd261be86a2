"""What is said of a job's canary: while it is open, once it has passed, and where it failed."""

from __future__ import annotations

import json

import pytest

from config.canary import CanaryShare
from ledger.job import CANARY_FAILED_CODE
from ledger.row import Outcome

CSV = "id,team\n" + "".join(f"chatcmpl-{number},red\n" for number in range(40))
CANARY = CanaryShare.parse("20")


@pytest.fixture
def make_canary(make_job):
    """A job of 40 rows with a canary of 20, some of which have ended."""

    async def make(ends):
        return await make_job(CSV, ends, canary=CANARY, shard_rows=20)

    return make


async def canary_of(relabel, job):
    """What `status` says of the canary, as text and as JSON."""
    text = (await relabel("status", job.job_id)).out
    facts = json.loads((await relabel("status", job.job_id, "--json")).out)
    return {line[:11].rstrip(): line[11:] for line in text.splitlines()}, facts


async def test_an_open_canary_says_how_far_it_is_and_who_waits(relabel, make_canary):
    """Its rows are counted alone: no other has begun."""
    job = await make_canary(dict.fromkeys(range(12), Outcome.UPDATED))

    lines, facts = await canary_of(relabel, job)

    assert lines["Canary"] == "20 rows, 12 of them have ended; the other rows wait for them"
    assert lines["Waits"].startswith("canary first: 12 of 20 rows read back; ")
    assert facts["canary"] == {"rows": 20, "state": "running"}


async def test_a_canary_that_passed_is_said_to_be_read_back(relabel, make_canary):
    """The job goes on by itself."""
    job = await make_canary(dict.fromkeys(range(20), Outcome.UPDATED))

    lines, facts = await canary_of(relabel, job)

    assert lines["Canary"] == "20 rows, read back and in order"
    assert (facts["state"], facts["canary"]["state"]) == ("running", "passed")
    log = (await relabel("log", job.job_id)).out
    assert "passed: 20 rows, 0 of them drifted" in log


async def test_a_canary_that_failed_pauses_with_what_to_do(relabel, make_canary, fails):
    """Exit code 3; the cause is in the summary; `resume` lets the rest go, and the log says who did."""
    ends = dict.fromkeys(range(20), Outcome.UPDATED) | {3: fails("read_back_differs", "it shows something else")}
    job = await make_canary(ends)

    lines, facts = await canary_of(relabel, job)

    assert (await relabel("status", job.job_id)).code == 3
    assert lines["Reason"] == "of 20 canary rows 1 failed (read_back_differs 1)"
    assert lines["Canary"] == "20 rows, failed; the other rows wait for your decision"
    assert f"relabel report {job.job_id} --summary" in lines["Next"]
    assert (facts["state"], facts["reason_code"], facts["canary"]["state"]) == ("paused", CANARY_FAILED_CODE, "failed")
    assert "look at one of these completions" in (await relabel("report", job.job_id, "--summary")).out

    assert (await relabel("resume", job.job_id)).code == 0
    lines, facts = await canary_of(relabel, job)
    assert (facts["state"], facts["canary"]["state"]) == ("running", "overruled")
    assert lines["Canary"] == "20 rows, failed; the job was resumed all the same"
    assert "was paused, canary_failed: of 20 canary rows 1 failed" in (await relabel("log", job.job_id)).out


async def test_a_failed_canary_fails_the_health_check_and_is_no_fault_of_the_api(relabel, make_canary, fails):
    """Somebody has to decide; whoever submits another job for the same API is not warned of it."""
    job = await make_canary(dict.fromkeys(range(20), Outcome.UPDATED) | {0: fails("not_found", status=404)})

    health = await relabel("health", "--only", "jobs")

    assert health.code != 0
    assert f"job {job.job_id} has been paused" in health.out
    assert "canary rows 1 failed (not_found 1)" in " ".join(health.out.split())


async def test_a_job_without_a_canary_says_nothing_of_one(relabel, make_job):
    """Null in JSON."""
    lines, facts = await canary_of(relabel, await make_job(CSV))

    assert "Canary" not in lines
    assert facts["canary"] is None


async def test_a_report_of_a_canary_has_the_order_of_the_file(relabel, make_canary):
    """Where a row is stored is nobody's concern."""
    job = await make_canary(dict.fromkeys(range(20), Outcome.UPDATED))

    rows = (await relabel("report", job.job_id)).out.splitlines()[1:]

    assert [row.split(",")[0] for row in rows] == [f"chatcmpl-{number}" for number in range(40)]
    assert sum("updated" in row for row in rows) == 20
