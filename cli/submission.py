"""What is shown and asked before a job is submitted, and what of an earlier one of the same content."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from cli.console import ask, can_ask, echo, shown
from cli.exit_codes import DONE, exit_code_of
from cli.format import at_lines
from config.text import printable
from ledger.job import Job
from producer.check import Checked
from producer.overlap import COMPARE_FOR_S, Overlaps
from producer.submit import JobRequest, Submitted
from relabel.errors import Declined
from relabel.explain import is_idle
from relabel.session import Session
from relabel.submit import Outlook, former_job, outlook
from relabel.wording import count_of, duration, per_minute

ASK_ABOVE = 10_000
"""Completions that are changed without a question."""
SHOWN_REJECTIONS = 5
SAME_FILE = "This file was submitted before, with the same options,"


def show_checked(checked: Checked, console: Console) -> None:
    """Print what the check of a file found."""
    console.print(shown(f"Checked: {', '.join(_checked_counts(checked))}."))
    for number, rejection in enumerate(checked.rejections()):
        if number == SHOWN_REJECTIONS:
            lists = "; the report lists them all" if checked.total or checked.unchanged else ""
            console.print(shown(f"  and {checked.rejected - number:,} more{lists}."))
            break
        column = f", column {printable(rejection.column, 64)}" if rejection.column else ""
        console.print(shown(f"  line {rejection.line}{column}: {rejection.reason}"))
    if checked.odd_ids.number:
        number = checked.odd_ids.number
        unlike = "id does" if number == 1 else "ids do"
        where = at_lines(checked.odd_ids.lines)
        console.print(shown(f"Warning: {number:,} {unlike} not look like chat completion ids ({where})."))


def _checked_counts(checked: Checked) -> Iterator[str]:
    yield f"{count_of(checked.total, 'completion')} to change"
    if checked.cleared:
        yield f"{checked.cleared:,} of them to be left without metadata"
    if checked.folded:
        yield f"{count_of(checked.folded, 'row')} folded into an earlier row of the same id"
    if checked.unchanged:
        yield f"{count_of(checked.unchanged, 'row')} unchanged, as nothing is to change"
    yield f"{count_of(checked.rejected, 'row')} rejected"


async def confirm_submission(
    session: Session, checked: Checked, request: JobRequest, console: Console, *, yes: bool
) -> None:
    """Show what the job would meet, and ask before it changes many completions; do nothing where it exists already.

    Raises:
        Declined: the answer was no.

    """
    if ahead := await outlook(session, checked, request):
        show_overlaps(ahead.overlaps, console)
        _confirm(ahead, yes=yes)


def show_overlaps(overlaps: Overlaps, console: Console) -> None:
    """Print which jobs change the same completions."""
    for job_id, rows, lines in overlaps.found:
        where = at_lines(lines)
        number = f"{'at least ' * (job_id in overlaps.unread)}{count_of(rows, 'completion')}"
        what = f"Warning: job {job_id}, which has not ended, changes {number} of these, too ({where})"
        console.print(shown(f"{what}; they take turns, in no certain order."), soft_wrap=True)
    if overlaps.unread:
        jobs = ", ".join(overlaps.unread)
        what = f"Not compared with all rows of job {jobs}: they are too many for {COMPARE_FOR_S:.0f} s."
        console.print(shown(what), soft_wrap=True)


def _confirm(ahead: Outlook, *, yes: bool) -> None:
    """Ask whether to go on; without a terminal, or with --yes, the answer is yes."""
    if yes or ahead.rows <= ASK_ABOVE or not can_ask():
        return
    echo(
        f"{count_of(ahead.rows, 'completion')} will be changed: up to {count_of(ahead.requests, 'request')}, "
        f"about {duration(ahead.seconds)} at {per_minute(ahead.rate_per_minute)}.",
        err=True,
    )
    if ahead.hint:
        echo(ahead.hint, err=True)
    if not ask():
        raise Declined("nothing was sent.")


async def show_former(session: Session, submitted: Submitted, console: Console, *, what: str = SAME_FILE) -> None:
    """Print which earlier job has the content, or had it and did not count; `what` begins the sentence."""
    if sentence := await former_job(session, submitted, what=what):
        console.print(shown(sentence))


def exit_code_after(submitted: Submitted, job: Job) -> int:
    """Return the exit code of a verb that does not wait for the job: what `run` ends with, where that is known now."""
    known = is_idle(job) if submitted.existed else not job.spec.rows
    return exit_code_of(job) if known else DONE
