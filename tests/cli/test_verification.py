"""What is shown of a verification, and which one counts, as far as it needs no worker."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ledger.codec import Detail
from ledger.job_spec import JobSpec, Kind, Mode
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.row import Outcome
from producer.submit import JobRequest, submit
from relabel.verification import Verification, said_of
from tests.cli.conftest import Ends, settle
from worker.verifying import CHANGED_BY_JOB, GONE

CSV = "id,team\n" + "".join(f"chatcmpl-{name},red\n" for name in "abcde")


def differs(code: str, message: str, *, status: int = 0) -> tuple[Outcome, Detail]:
    """How a row ends that does not hold what the job left."""
    return Outcome.DRIFTED, Detail(code, status, message, "", 1, 1_763_900_000.25)


@pytest.fixture
def verify_of(ledger: Ledger, read: Callable[..., Any]) -> Callable[..., Awaitable[JobSpec]]:
    """Store a verification of a job, and end some of its rows."""

    async def verify_of(parent: JobSpec, ends: Ends) -> JobSpec:
        request = JobRequest("verify of it", Mode.MERGE, True, parent.target, 2, 3600.0)
        with read(CSV) as checked:
            request = request._replace(kind=Kind.VERIFY, parent=parent.job_id, again=True, by="ada@a")
            submitted = await submit(checked, request, ledger=ledger, announce=lambda *_: None)
        spec = (await ledger.jobs.get(submitted.job_id)).spec
        await settle(ledger, spec, ends)
        return spec

    return verify_of


HOLDING = dict.fromkeys(range(5), Outcome.UNCHANGED)


async def test_the_summary_says_how_many_rows_hold_and_why_the_others_differ(relabel, make_job, verify_of):
    """In these words; a row that could not be read is none that differs."""
    parent = await make_job(CSV, dict.fromkeys(range(5), Outcome.UPDATED))
    spec = await verify_of(
        parent,
        {
            0: Outcome.UNCHANGED,
            1: differs(CHANGED_BY_JOB, "job 20261127-172335-90e7a1b2 changed team since"),
            2: differs(GONE, "Completion not found", status=404),
            3: (Outcome.FAILED, Detail("server_error", 500, "an error", "", 5, 1_763_900_000.25)),
            4: Outcome.UNCHANGED,
        },
    )

    ended = await relabel("report", spec.job_id, "--summary")

    said = ended.out.partition("\n\n")[2]
    assert said == (
        f"What job {parent.job_id} left: 2 of 5 rows hold, 2 differ (changed_by_job 1, gone 1), 1 could not be read.\n"
        "\n"
        "1 row failed:\n"
        "  server_error (HTTP 500), 1 row\n"
        "    line 5, chatcmpl-d: an error\n"
        "    > The API had an error of its own. This may pass: submit the failed rows again later.\n"
        f"  All of them: relabel report {spec.job_id} --only failed -o failed.csv\n"
        "\n"
        "2 rows differ:\n"
        "  changed_by_job, 1 row\n"
        "    line 3, chatcmpl-b: job 20261127-172335-90e7a1b2 changed team since\n"
        "    > A later job changed these: `relabel history ID` shows from what to what, and who asked for it.\n"
        "  gone (HTTP 404), 1 row\n"
        "    line 4, chatcmpl-c: Completion not found\n"
        "    > These were deleted, or are older than 30 days; nothing can be changed in them any more.\n"
        f"  All of them: relabel report {spec.job_id} --only drifted -o drifted.csv\n"
        "\n"
        f"Next: relabel receipt {parent.job_id} -o receipt.json  "
        "(writes the receipt of the job, which has this result)\n"
        f"Next: relabel report {spec.job_id} -o report.csv  (writes every row with its outcome)\n"
    )


async def test_the_last_verification_that_finished_counts(relabel, make_job, verify_of):
    """One that goes on is shown as long as there is no other."""
    parent = await make_job(CSV, dict.fromkeys(range(5), Outcome.UPDATED))

    async def found() -> tuple[str, bool, str]:
        facts = json.loads((await relabel("status", parent.job_id, "--json")).out)["verification"]
        return facts["job_id"], facts["holds"], facts["state"]

    assert json.loads((await relabel("status", parent.job_id, "--json")).out)["verification"] is None
    first = await verify_of(parent, {0: Outcome.UNCHANGED})
    assert await found() == (first.job_id, False, "running")
    second = await verify_of(parent, HOLDING | {0: differs(GONE, "not found", status=404)})
    assert await found() == (second.job_id, False, "finished")
    third = await verify_of(parent, HOLDING)
    assert await found() == (third.job_id, True, "finished")
    await verify_of(parent, {0: Outcome.UNCHANGED})
    assert await found() == (third.job_id, True, "finished")


async def test_a_receipt_of_a_job_that_has_not_ended_is_refused(
    relabel: Any, ledger: Ledger, make_job: Callable[..., Awaitable[Any]]
) -> None:
    """With what ends it."""
    job = await make_job("completion_id,team\na-1,x\n")
    running = await relabel("receipt", job.job_id)
    await ledger.jobs.pause(job.job_id, by="ada@a", code="paused", reason="by ada@a")
    paused = await relabel("receipt", job.job_id)

    assert (running.code, "`relabel watch" in running.err, running.out) == (2, True, "")
    assert (paused.code, f"`relabel cancel {job.job_id}` ends it" in paused.err, paused.out) == (2, True, "")


async def test_a_receipt_of_a_cancelled_job_waits_for_the_rows_in_flight(
    relabel: Any, ledger: Ledger, make_job: Callable[..., Awaitable[Any]]
) -> None:
    """Their outcomes would change it. After them it counts what was cancelled."""
    job = await make_job("completion_id,team\na-1,x\na-2,x\na-3,x\n", {2: Outcome.UPDATED})
    await ledger.shards.lease(job.job_id, 0, "test")
    await ledger.jobs.cancel(job.job_id, by="ada@a")
    early = await relabel("receipt", job.job_id)
    shard = await ledger.shards.load(job.job_id, 0, "test")
    assert shard is not None
    await ledger.shards.release(shard)
    await ledger.shards.close_all(job, Outcome.CANCELLED)

    receipt = json.loads((await relabel("receipt", job.job_id)).out)

    assert (early.code, "rows in flight" in early.err) == (2, True)
    assert (receipt["rows"]["cancelled"], receipt["rows"]["updated"], receipt["job"]["state"]) == (2, 1, "cancelled")
    assert receipt["job"]["finished_at"] is not None


async def test_causes_are_counted_as_rows_end(make_job, verify_of, ledger):
    """The most frequent first, and no row is read for them, however many differ."""
    parent = await make_job(CSV, dict.fromkeys(range(5), Outcome.UPDATED))
    gone, changed = differs(GONE, "Completion not found", status=404), differs(CHANGED_BY_JOB, "job a changed it")
    spec = await verify_of(parent, {0: changed, 1: gone, 2: gone, 3: gone, 4: Outcome.UNCHANGED})
    await ledger.redis.delete(JobKeys(spec.job_id).details)

    found = Verification(await ledger.jobs.get(spec.job_id))

    assert list(found.differences.items()) == [(GONE, 3), (CHANGED_BY_JOB, 1)]
    assert said_of(found) == "1 of 5 rows hold, 4 differ (gone 3, changed_by_job 1)"


async def test_rows_that_are_settled_twice_count_once_by_cause(make_job, verify_of, ledger):
    """As a worker does that repeats what it could not know to be written."""
    parent = await make_job(CSV, dict.fromkeys(range(5), Outcome.UPDATED))
    gone = differs(GONE, "Completion not found", status=404)
    spec = await verify_of(parent, {0: gone})
    await settle(ledger, spec, {0: gone, 1: gone})

    assert (await ledger.jobs.get(spec.job_id)).drifted_by == {GONE: 2}
