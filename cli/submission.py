"""What is shown and asked before a job is submitted, and what of an earlier one of the same content."""

from __future__ import annotations

import asyncio

from rich.console import Console

from cli.console import ask, can_ask, shown
from cli.exit_codes import DONE, SOME_ROWS_FAILED, exit_code_of
from cli.output import print_facts
from cli.preview_view import show_content, show_outlook
from config.settings import Settings
from ledger.job import Job
from producer.checked import Checked
from producer.questions import LARGE_JOB, Question
from producer.submit import JobRequest, Submitted
from relabel.errors import Declined
from relabel.explain import is_idle
from relabel.preview import look_ahead, preview_facts, preview_of, preview_only, require_confirmed, with_outlook
from relabel.session import Session
from relabel.submit import FileOptions, former_job, require_valid_rows

SAME_FILE = "This file was submitted before, with the same options,"


def show_checked(checked: Checked, request: JobRequest, console: Console) -> None:
    """Print what is in a file; what its job would meet comes with `confirm_submission`."""
    show_content(preview_of(checked, request), console)


def check_only(
    settings: Settings,
    checked: Checked,
    options: FileOptions,
    console: Console,
    request: JobRequest,
    *,
    deployed: bool,
    as_json: bool,
) -> int:
    """Show the preview of a file that is not to be sent (--check); return the exit code."""
    preview = asyncio.run(preview_only(settings, checked, request, deployed=deployed))
    if as_json:
        print_facts(preview_facts(preview))
    else:
        show_content(preview, console)
        show_outlook(preview, console)
        if preview.outlook and (former := preview.outlook.former):
            console.print(shown(f"Job {former} has this content already, so nothing would be sent; --again sends it."))
        if checked.total or checked.unchanged:
            _show_questions(preview.questions, console)
    require_valid_rows(checked, options)
    return SOME_ROWS_FAILED if checked.rejected else DONE


async def confirm_submission(
    session: Session, checked: Checked, request: JobRequest, console: Console, *, yes: bool, deployed: bool
) -> None:
    """Show what the job would meet, and ask where something is odd or large; nothing where the job exists already.

    Raises:
        Declined: the answer was no.
        NeedsConfirmation: something is odd, and there is no terminal to ask at.

    """
    ahead = await look_ahead(session, checked, request, deployed=deployed)
    preview = with_outlook(preview_of(checked, request), ahead)
    show_outlook(preview, console)
    if yes or not preview.questions:
        return
    if not can_ask():
        require_confirmed(preview.questions)
        return
    _show_questions(preview.questions, console)
    if not ask():
        raise Declined("nothing was sent.")


def show_rehearsed(checked: Checked, request: JobRequest, console: Console) -> None:
    """Print what would be asked about a file that is rehearsed: nothing is, as nothing leaves the machine."""
    if questions := preview_of(checked, request).questions:
        _show_questions(questions, console)
        console.print("A run without --sandbox asks about this first, and needs --yes where there is no terminal.")


def _show_questions(questions: list[Question], console: Console) -> None:
    for code, sentence in questions:
        if code != LARGE_JOB:  # its sentence is the outlook's
            console.print(shown(f"{sentence[:1].upper()}{sentence[1:]} ({code})."))


async def show_former(session: Session, submitted: Submitted, console: Console, *, what: str = SAME_FILE) -> None:
    """Print which earlier job has the content, or had it and did not count; `what` begins the sentence."""
    if sentence := await former_job(session, submitted, what=what):
        console.print(shown(sentence))


def exit_code_after(submitted: Submitted, job: Job) -> int:
    """Return the exit code of a verb that does not wait for the job: what `run` ends with, where that is known now."""
    known = is_idle(job) if submitted.existed else not job.spec.rows or job.waits_for_approval
    return exit_code_of(job) if known else DONE
