"""Shows what a plan changes, asks whether to apply it, and applies it: for `apply`, and for a plan just made."""

from __future__ import annotations

from rich.console import Console

from cli.carry_out import JobView, carry_on, get_ready
from cli.console import ask_letter, can_ask, print_lines, show_paged
from cli.plan_view import change_lines, few_changes, row_line
from cli.preview_view import show_outlook
from config.text import printable
from ledger.job import Job
from ledger.row import Outcome
from ledger.row_reader import read_rows
from relabel.apply import ApplyOptions, PreparedApply, apply
from relabel.errors import Declined, InvalidInput
from relabel.explain import standing
from relabel.next_steps import not_made
from relabel.plan_findings import plan_findings
from relabel.preview import look_ahead, preview_of, with_outlook
from relabel.session import Session
from relabel.wording import count_of, in_words

SHOWN_OF_KEY = 4
"""Changes of a key that are shown before the question."""
SHOWN_ROWS = 1_000
"""Rows that the answer `d` shows; a report has them all."""
NAME_CHARS = 80


async def apply_plan(
    session: Session, plan_id: str, options: ApplyOptions, view: JobView, *, is_shown: bool = False
) -> int:
    """Show a plan, unless that was done right before, ask, and apply it here or by workers; return the exit code.

    A plan that is being applied, or was, is not applied again: the job that does so is followed.

    Raises:
        NoSuchJob: there is no such job.
        RelabelError: the plan cannot be applied (`relabel.apply`), or the answer was no.

    """
    console, signals = view.console, None

    async def confirm(prepared: PreparedApply) -> None:
        nonlocal signals
        if not is_shown:
            await _show(session, prepared, console)
        await _show_outlook(session, prepared, console, deployed=not options.here)
        if not view.yes:
            await _ask(session, prepared)
        signals = await get_ready(session, console) if options.here else None

    submitted = await apply(session, plan_id, options, confirm)
    if submitted.existed:
        print_lines([_about_existing(plan_id, await session.ledger.jobs.get(submitted.job_id))], console)
        signals = signals or (await get_ready(session, console) if options.here else None)
    return await carry_on(session, submitted, signals, view)


def _about_existing(plan_id: str, job: Job) -> str:
    job_id = job.spec.job_id
    if job.state.ended:
        again = f"; {command} plans again what it did not change" if (command := not_made(job)) else ""
        return f"Plan {plan_id} was applied by job {job_id}{again}."
    return f"Plan {plan_id} is being applied by job {job_id}, which is {standing(job)}"


async def _show(session: Session, prepared: PreparedApply, console: Console) -> None:
    """Print what the plan changes."""
    plan, checked, _, age_s, former = prepared
    spec, counts = plan.spec, plan.counts
    named = f"Plan {spec.job_id} ({printable(spec.name, NAME_CHARS)}), made {in_words(age_s)} ago"
    lines = [f"{named}: {counts.would_change:,} of {count_of(counts.total, 'row')} would change."]
    if found := await plan_findings(session.ledger, plan):
        lines += [f"  {line}" for line in change_lines(few_changes(found, SHOWN_OF_KEY))]
    if former:
        left = f"left {checked.total:,} of these; only they are applied"
        lines.append(f"Job {former.spec.job_id}, which was cancelled, {left}.")
    print_lines(lines, console)


async def _show_outlook(session: Session, prepared: PreparedApply, console: Console, *, deployed: bool) -> None:
    """Print what the apply would meet."""
    checked, request = prepared.checked, prepared.request
    ahead = await look_ahead(session, checked, request, deployed=deployed)
    show_outlook(with_outlook(preview_of(checked, request), ahead), console)


async def _ask(session: Session, prepared: PreparedApply) -> None:
    """Ask whether to apply the plan, and show its rows where that is asked for.

    Raises:
        InvalidInput: there is no terminal to ask at.
        Declined: the answer was no.

    """
    if not can_ask():
        raise InvalidInput(
            "there is no terminal to ask at whether to apply this; look at "
            f"`relabel status {prepared.plan.spec.job_id}`, then say --yes. Nothing was applied."
        )
    while (answer := ask_letter(f"{_question(prepared)} [y/N/d=diff]", "nyd")) == "d":
        show_paged(await _rows(session, prepared.plan))
    if answer != "y":
        raise Declined("nothing was applied.")


def _question(prepared: PreparedApply) -> str:
    rows, canary = prepared.checked.total, prepared.request.canary
    age = f" of a plan that is {in_words(prepared.age_s)} old" if prepared.is_old else ""
    first = canary.rows_of(rows) if canary else 0
    how = f" ({first:,} first, read back, then the rest)" if first < rows else " (each read back)"
    return f"Apply {count_of(rows, 'change')}{age}{how if first else ''}?"


async def _rows(session: Session, plan: Job) -> list[str]:
    """Return a line for each of the first rows that would change."""
    lines = list[str]()
    async for row in read_rows(session.ledger.redis, plan.spec, only={Outcome.WOULD_CHANGE}):
        if len(lines) == SHOWN_ROWS:
            more = plan.counts.would_change - SHOWN_ROWS
            return [*lines, f"and {count_of(more, 'more row')}; `relabel report {plan.spec.job_id} --diff` has all"]
        lines.append(row_line(plan, row))
    return lines
