"""Tells people of a former job of the same content: which it is, how it stands, and what to do next."""

from __future__ import annotations

from rich.console import Console

from cli import control
from cli.console import shown
from cli.exit_codes import DONE, exit_code_of
from ledger.job import LOST_REASON, Job, JobState
from ledger.ledger import Ledger
from producer.submit import Submitted
from relabel.explain import WAITING_FOR_USER, is_idle, standing

FILE = "This file was submitted before, with the same options,"


async def tell_former(ledger: Ledger, submitted: Submitted, console: Console, *, what: str = FILE) -> None:
    """Print which former job has the content, or had it and did not count; `what` begins the sentence of the former."""
    if submitted.existed:
        console.print(shown(f"{what} as job {_named(await ledger.jobs.get(submitted.job_id))}"))
    elif submitted.former:
        job = await ledger.jobs.get(submitted.former)
        console.print(shown(f"Job {submitted.former} of the same content {_fate(job)}, so this is a new job."))


async def go_on_if_interrupted(ledger: Ledger, submitted: Submitted) -> None:
    """Resume a former job that was only interrupted; one that somebody paused or held is left to them."""
    job = await ledger.jobs.get(submitted.job_id)
    if submitted.existed and job.state is JobState.PAUSED and job.reason_code == control.INTERRUPTED_CODE:
        await control.resume(ledger, submitted.job_id)


def exit_code_after(submitted: Submitted, job: Job) -> int:
    """Return the exit code of a verb that does not wait for the job: what `run` ends with, where that is known now."""
    known = is_idle(job) if submitted.existed else not job.spec.rows
    return exit_code_of(job) if known else DONE


def _named(job: Job) -> str:
    job_id = job.spec.job_id
    if job.state is JobState.FINISHED:
        return f"{job_id}; --again applies it once more."
    if job.state in WAITING_FOR_USER:
        return f"{job_id}, which is {standing(job)}"
    return f"{job_id}, which is {job.state}; `relabel watch {job_id}` follows it."


def _fate(job: Job) -> str:
    """Return why a former job does not count (`ledger.fingerprints.counts_as_submitted`)."""
    if job.state is JobState.LOST:
        return f"is lost ({LOST_REASON})"
    return "was cancelled" if job.state is JobState.CANCELLED else "ended without one row updated or unchanged"
