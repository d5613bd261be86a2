"""Jobs that are put down and taken up: each change is in the job's log, with who and why."""

from __future__ import annotations

from cli import control
from cli.who import who
from ledger.job import JobState
from ledger.ledger import Ledger
from ledger.row import Outcome

CSV = "completion_id,team\nchatcmpl-1,blue\nchatcmpl-2,blue\nchatcmpl-3,red\n"


async def test_each_change_is_written_down_once(make_job, ledger: Ledger) -> None:
    """A job that is interrupted twice and resumed twice changed twice."""
    job_id = (await make_job(CSV, {0: Outcome.UPDATED})).job_id

    await control.pause_interrupted(ledger, job_id, "its `relabel run` ended in mid-job")
    await control.pause_interrupted(ledger, job_id, "again")
    job = await ledger.jobs.get(job_id)
    assert job.state is JobState.PAUSED
    assert job.reason.endswith(f"go on with `relabel run --resume {job_id}`")

    assert await control.resume(ledger, job_id) is JobState.PAUSED
    assert await control.resume(ledger, job_id) is JobState.RUNNING

    lines = [(line.who, line.verb, line.why) for line in await ledger.audit.read(job_id)]
    assert lines == [(who(), "pause", "its `relabel run` ended in mid-job"), (who(), "resume", "")]
