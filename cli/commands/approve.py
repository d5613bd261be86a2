"""`relabel approve`: let a job run that somebody else submitted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from cli.console import ask, can_ask, echo, print_lines, stderr_console
from cli.exit_codes import DONE
from cli.job_argument import changed_job_argument, with_changed_job
from cli.output import print_json
from cli.plan_view import change_lines, few_changes
from cli.session import pass_settings
from config.settings import Settings
from config.text import printable
from ledger.approval import Approval
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from relabel.approve import Approved, approve
from relabel.errors import Declined, InvalidInput
from relabel.explain import standing
from relabel.plan_findings import plan_findings
from relabel.session import Session
from relabel.wording import count_of, local_time

SHOWN_CHARS = 200
SHOWN_OF_KEY = 4
"""Changes of a key that are shown of the plan that a job applies."""


@click.command("approve")
@changed_job_argument
@click.option("--digest", metavar="HEX", help="Approve only what has this digest: that of the plan, or of the input.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@pass_settings
def approve_command(settings: Settings, *, reference: str, yes: bool, digest: str | None, as_json: bool) -> int:
    """Approve JOB, which somebody else submitted.

    Jobs of more rows than RELABEL_APPROVAL__ABOVE_ROWS are held until then. Shows what would be done, and asks.
    `relabel cancel JOB --reason ...` refuses it.

    Nobody approves a job of their own. A command line has no name that anybody vouches for, so it approves only with
    RELABEL_APPROVAL__ALLOW_LOCAL=true; a token with the scope approve does in the console and over HTTP.

    \b
    Examples:
      relabel jobs --state held
      relabel approve 20261123-205318-c81e4f02

    The exit code is 0 where the job is approved, also by somebody before; 2 where it is your own, or you may not.
    """

    async def run(session: Session, job_id: str) -> Approved:
        async def confirm(job: Job, approval: Approval) -> None:
            print_lines(await _shown(session, job, approval), stderr_console())
            if not yes:
                _ask()

        return await approve(session, job_id, digest=digest, confirm=confirm)

    approved = with_changed_job(settings, reference, run, yes=yes)
    for line in _said(approved):
        echo(line, err=True)
    if as_json:
        print_json(approved.job)
    return DONE


def _ask() -> None:
    if not can_ask():
        raise InvalidInput("there is no terminal to ask at whether to approve this; add --yes. Nothing was approved.")
    if not ask():
        raise Declined("nothing was approved.")


async def _shown(session: Session, job: Job, approval: Approval) -> list[str]:
    """Return the lines on what a job would do."""
    spec = job.spec
    lines = [
        f"Job       {spec.job_id} ({printable(spec.name, SHOWN_CHARS)})",
        f"Rows      {count_of(spec.rows, 'row')}, {spec.kind}, {spec.mode}",
        f"Target    {printable(spec.target, SHOWN_CHARS)}",
        f"Submitted {local_time(job.submitted_at)} by {printable(spec.by, SHOWN_CHARS)}",
        f"Keys      {printable(', '.join(spec.keys or ()), SHOWN_CHARS)}{', and others' if spec.more_keys else ''}",
        f"Digest    {approval.digest}",
    ]
    return [*lines, *await _planned(session, job)]


async def _planned(session: Session, job: Job) -> list[str]:
    """Return what the plan changes that a job applies; nothing of other jobs, and where the plan is kept no more."""
    if job.spec.kind is not Kind.APPLY or not job.spec.parent:
        return []
    with contextlib.suppress(NoSuchJob):
        plan = await session.ledger.jobs.get(job.spec.parent)
        if found := await plan_findings(session.ledger, plan):
            changes = change_lines(few_changes(found, SHOWN_OF_KEY))
            return [f"Plan      {job.spec.parent} would change:", *(f"          {line}" for line in changes)]
    return []


def _said(approved: Approved) -> Iterator[str]:
    job, approval = approved.job, approved.job.approval
    who = printable(approval.approved_by or "", SHOWN_CHARS) if approval else ""
    yield f"Job {job.spec.job_id} {'is approved' if approved.is_new else f'was approved before, by {who}'}."
    if job.state is JobState.HELD:
        yield f"It is still {standing(job)}"
    elif job.state is JobState.RUNNING and approved.idle:
        here = f"use `relabel run --resume {job.spec.job_id}`"
        yield f"It waits, as {approved.idle}: see `relabel health`, or {here}."
