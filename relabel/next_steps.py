"""Works out which commands can follow a job that has finished, or a file that was selected: the next of the loop."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.job import Job, JobState
from ledger.job_spec import Kind
from relabel.session import Session

if TYPE_CHECKING:
    from selection.options import SelectOptions


class NextStep(NamedTuple):
    """A command that can follow, and what it does."""

    command: str
    what: str


def next_steps(session: Session, job: Job) -> list[NextStep]:
    """Return what can be done with a job that has finished; nothing with any other.

    Rows are only sent where the settings name the job's API, and by a process tree of its own where no workers are
    deployed.
    """
    if job.state is not JobState.FINISHED:
        return []
    job_id, spec = job.spec.job_id, job.spec
    report = NextStep(f"relabel report {job_id} -o report.{spec.columns.format}", "writes every row with its outcome")
    if session.rehearsal or spec.target != session.settings.openai_base_url:
        return [report]
    if spec.kind is Kind.PLAN:
        return [*_after_plan(job), report]
    if spec.kind is Kind.VERIFY:
        return [_after_verify(job), report]
    return [report, *_after_change(job, run=" --run" if session.server else "")]


def after_selection(output: Path, options: SelectOptions) -> NextStep | None:
    """Return what follows a file that a selection wrote; None where it names no key, so that nothing would change."""
    from selection.options import LabelOptions  # noqa: PLC0415 - most verbs that name a next step select nothing

    if options.labels == LabelOptions():
        return None
    edited = ", once it is edited" if options.labels.keys else ""
    return NextStep(f"relabel plan {shlex.quote(str(output))}", f"shows what it would change{edited}")


def after_plan(job: Job) -> str:
    """Return what makes the changes of a plan that has finished; '' where there are none."""
    step = _apply_step(job)
    return f"Make these changes with `{step.command}`." if step else ""


def not_made(job: Job) -> str:
    """Return the command that plans again what an apply did not change; '' where it changed all that it took up."""
    counts = job.counts
    words = [word for word, rows in (("drifted", counts.drifted), ("failed", counts.failed)) if rows]
    return f"`{_plan_again(job, ','.join(words))}`" if words else ""


def _apply_step(job: Job) -> NextStep | None:
    if job.spec.kind is not Kind.PLAN or job.state is not JobState.FINISHED or not job.counts.would_change:
        return None
    return NextStep(f"relabel apply {job.spec.job_id}", "makes these changes, where nobody changed the rows since")


def _plan_again(job: Job, words: str) -> str:
    return f"relabel plan --from {job.spec.job_id} --only {words}"


def _after_plan(job: Job) -> Iterator[NextStep]:
    if step := _apply_step(job):
        yield NextStep(f"relabel report {job.spec.job_id} --diff", "shows every row that would change")
        yield step
    if job.counts.failed:
        yield NextStep(_plan_again(job, "failed"), "plans the failed rows again")


def _after_change(job: Job, *, run: str) -> Iterator[NextStep]:
    """Yield what follows a job that changes completions; `run` is the option of a process tree of its own."""
    job_id, counts = job.spec.job_id, job.counts
    if counts.drifted:
        yield NextStep(_plan_again(job, "drifted"), "shows what the drifted rows would change now")
    if counts.failed:
        yield NextStep(f"relabel retry {job_id}{run}", "tries the failed rows again that may succeed")
    if counts.updated:
        yield NextStep(f"relabel verify {job_id}", "reads the rows again and shows which still hold")
    if counts.updated and job.spec.journal:
        yield NextStep(f"relabel undo {job_id}{run}", "restores what was there before")


def _after_verify(job: Job) -> NextStep:
    command = f"relabel receipt {job.spec.parent} -o receipt.json"
    return NextStep(command, "writes the receipt of the job, which has this result")
