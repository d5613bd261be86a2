"""Goes on from a plan of a selection to its apply, on one screen: what would change, the question, the job."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from cli.apply_plan import apply_plan
from cli.carry_out import JobView, get_ready, show_end
from cli.console import print_lines
from cli.exit_codes import INTERRUPTED, exit_code_of
from cli.output import print_json
from cli.plan_view import change_lines
from cli.progress import follow, progress_display
from config.text import printable
from ledger.failures import Cause
from ledger.job import Job, JobState
from ledger.row import Outcome
from relabel.apply import ApplyOptions
from relabel.findings import Findings, collect_findings
from relabel.how_far import outcome_words
from relabel.run import carry_out
from relabel.session import Session

SHOWN_CAUSES = 10
CODE_CHARS = 64
_SHOWN = (Outcome.WOULD_CHANGE, Outcome.UNCHANGED, Outcome.FAILED)


async def apply_selection(session: Session, plan_id: str, options: ApplyOptions, view: JobView) -> int:
    """Carry out a plan that was submitted, show what it found, ask, and apply it; return the exit code.

    It is that of the apply; where all of that went well, it is that of the plan, of which rows may have failed.

    Raises:
        RelabelError: the plan cannot be applied, or the answer was no; the plan stays.

    """
    console = view.console
    plan, interrupted = await _carry_out(session, plan_id, console, here=options.here)
    if plan.state is not JobState.FINISHED:
        await show_end(session, plan, console, as_json=view.as_json, after_follow=not interrupted)
        return INTERRUPTED if interrupted else exit_code_of(plan)
    print_lines(_planned(plan, await collect_findings(session, plan)), console)
    if plan.counts.would_change:
        return await apply_plan(session, plan_id, options, view, is_shown=True) or exit_code_of(plan)
    console.print("Nothing would change, so there is nothing to apply.")
    if view.as_json:
        print_json(plan)
    return exit_code_of(plan)


async def _carry_out(session: Session, plan_id: str, console: Console, *, here: bool) -> tuple[Job, bool]:
    """Carry a plan out here, or follow it; return it as it then stands, and whether Ctrl-C paused it."""
    if not here:
        return await follow(session, plan_id, console), False
    signals = await get_ready(session, console)
    signals.name_job(plan_id)
    with progress_display(console, session.settings.rate.per_minute) as progress:
        plan = await carry_out(session, plan_id, stop=signals.stop, progress=progress)
    return plan, signals.stop.is_set() and not plan.state.ended


def _planned(plan: Job, findings: Findings) -> Iterator[str]:
    """Yield the lines on what a plan found: each outcome that occurs with its rows, and which changes or failures."""
    yield f"Plan     {plan.spec.job_id}"
    details = {
        Outcome.WOULD_CHANGE: list(change_lines(findings.plan)) if findings.plan else [],
        Outcome.FAILED: list(map(_cause, findings.failed[:SHOWN_CAUSES])),
    }
    numbers = {outcome: f"{getattr(plan.counts, outcome.word):,}" for outcome in _SHOWN}
    width = max(map(len, numbers.values()))
    for outcome, number in numbers.items():
        if number != "0" or outcome is Outcome.WOULD_CHANGE:
            first, *more = details.get(outcome) or [""]
            yield f"  {outcome_words(outcome.word):<12}  {number:>{width}}   {first}".rstrip()
            yield from (f"{'':<{17 + width}}{line}" for line in more)


def _cause(cause: Cause) -> str:
    return f"{printable(cause.code, CODE_CHARS)}  ({cause.rows:,})"
