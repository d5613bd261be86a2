"""Shows how a job went: counts, time, rate, and its failures by cause with what to do about each."""

from __future__ import annotations

from rich.console import Console

from cli.console import print_lines, shown
from cli.plan_view import change_lines, sample_lines
from config.text import printable
from ledger.failures import Cause, Sample
from ledger.input_files import place_of
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from ledger.row import Rejection
from relabel.explain import WAITING_FOR_USER, is_idle, standing
from relabel.findings import Findings, status_of
from relabel.how_far import outcome_counts
from relabel.next_steps import NextStep
from relabel.plan_findings import PlanFindings
from relabel.verification import Verification, said_of
from relabel.wording import count_of, duration, per_minute

SHOWN_CAUSES = 10
ID_CHARS = 64
MESSAGE_CHARS = 160


def print_step(step: NextStep, console: Console) -> None:
    """Print a command that can follow, by itself."""
    for line in step_lines(step, console.width if console.file.isatty() else None):
        console.print(shown(line), soft_wrap=True)


def print_summary(job: Job, findings: Findings, console: Console, *, after_follow: bool = False) -> None:
    """Print how the job went, or how it stands; `after_follow` leaves out the reason, which was shown just before."""
    columns = console.width if console.file.isatty() else None
    print_lines(summary_lines(job, findings, after_follow=after_follow, columns=columns), console)


def summary_lines(job: Job, findings: Findings, *, after_follow: bool = False, columns: int | None = None) -> list[str]:
    """Return the summary, safe for a terminal of so many columns; None is no terminal."""
    counts = job.counts
    folded = f"  ({count_of(counts.folded, 'row')} folded into an earlier row of the same id)" if counts.folded else ""
    headline = f"{_named(job)}: {job.state if after_follow and job.state in WAITING_FOR_USER else _standing(job)}"
    lines = [headline, f"  {outcome_counts(counts, kind=job.spec.kind, pending=True)}{folded}", f"  {_traffic(job)}"]
    if findings.plan:
        lines += _planned(job, findings.plan)
    if job.spec.kind is Kind.VERIFY:
        lines += ["", f"What job {job.spec.parent} left: {said_of(Verification(job))}."]
    for word, causes, number in (
        ("failed", findings.failed, counts.failed),
        ("drifted", findings.drifted, counts.drifted),
    ):
        if number:
            verb = "differ" if job.spec.kind is Kind.VERIFY and word == "drifted" else word
            lines += ["", f"{count_of(number, 'row')} {verb}:", *_causes(causes, findings), *_rest(job, word, columns)]
    if counts.rejected:
        lines += ["", f"{count_of(counts.rejected, 'row')} rejected, never sent:"]
        lines += [_rejection(rejection, findings) for rejection in findings.rejected]
        lines += _rest(job, "rejected", columns)
    if findings.next_steps:
        lines += ["", *(line for step in findings.next_steps for line in step_lines(step, columns))]
    return lines


def _planned(job: Job, found: PlanFindings) -> list[str]:
    """Return what a plan found."""
    lines = []
    if changes := list(change_lines(found)):
        lines += ["", "Would change:", *(f"  {line}" for line in changes)]
    if samples := list(sample_lines(job, found)):
        lines += ["", "First rows:", *(f"  {line}" for line in samples)]
    return [*lines, "", f"Digest: {found.digest}"] if found.digest else lines


def _named(job: Job) -> str:
    return f"Job {job.spec.job_id} ({printable(job.spec.name, ID_CHARS)})"


def _standing(job: Job) -> str:
    if job.state is JobState.FINISHED and job.finished_at is not None:
        return f"finished in {duration(job.finished_at - job.submitted_at)}"
    return standing(job) if is_idle(job) else f"{job.state}, so these numbers still change"


def _traffic(job: Job) -> str:
    traffic = job.traffic
    said = f"{count_of(traffic.requests, 'request')} sent"
    if job.finished_at is not None and traffic.requests:
        elapsed = max(job.finished_at - job.submitted_at, 0.001)
        said += f", {per_minute(traffic.requests * 60 / elapsed)} on average"
    return f"{said}, {traffic.retries:,} tried again, {traffic.throttled:,} answered 429"


def _causes(causes: list[Cause], findings: Findings) -> list[str]:
    lines = []
    for cause in causes[:SHOWN_CAUSES]:
        status = status_of(cause)
        shown_status = f" (HTTP {status})" if status else ""
        lines.append(f"  {printable(cause.code, ID_CHARS)}{shown_status}, {count_of(cause.rows, 'row')}")
        lines += [_sample(sample, findings) for sample in cause.samples]
        lines.append(f"    > {findings.advice(cause)}")
    if len(causes) > SHOWN_CAUSES:
        lines.append(f"  and {count_of(len(causes) - SHOWN_CAUSES, 'other cause')}")
    return lines


def _sample(sample: Sample, findings: Findings) -> str:
    patch, detail = sample
    completion_id = printable(patch.completion_id, ID_CHARS)
    return f"    {_place(patch.line, findings)}, {completion_id}: {printable(detail.message, MESSAGE_CHARS)}"


def _rejection(rejection: Rejection, findings: Findings) -> str:
    column = f", column {printable(rejection.column, ID_CHARS)}" if rejection.column else ""
    return f"    {_place(rejection.line, findings)}{column}: {printable(rejection.reason, MESSAGE_CHARS)}"


def _place(line: int, findings: Findings) -> str:
    return printable(str(place_of(line, findings.files)), MESSAGE_CHARS)


def _rest(job: Job, word: str, columns: int | None) -> list[str]:
    """Return how all rows of an outcome are seen; the command has a line of its own where it needs one."""
    command = printable(f"relabel report {job.spec.job_id} --only {word} -o {word}.{job.spec.columns.format}")
    line = f"  All of them: {command}"
    return [line] if columns is None or len(line) <= columns else ["  All of them:", f"    {command}"]


def step_lines(step: NextStep, columns: int | None) -> list[str]:
    """Return a command that can follow with what it does, which has a line of its own where it needs one."""
    line = f"Next: {step.command}  ({step.what})"
    return [line] if columns is None or len(line) <= columns else [f"Next: {step.command}", f"      ({step.what})"]
