"""How a job went: counts, time, rate, and its failures grouped by cause with what to do about each."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Console

from cli.advice import about_rows
from cli.console import shown
from cli.format import count_of, duration, outcome_counts, per_minute
from cli.why import WAITING_FOR_USER, is_idle, standing
from config.text import printable
from ledger.errors import StateLost
from ledger.failures import SAMPLES, Cause, Sample, read_causes
from ledger.job import Job, JobState
from ledger.ledger import Ledger
from ledger.row import Outcome, Rejection
from ledger.row_reader import read_rejections
from ledger.service_profile import Behaviour

SHOWN_CAUSES = 10
ID_CHARS = 64
MESSAGE_CHARS = 160
_REPORT = "relabel report"


class Findings(NamedTuple):
    """What went wrong in a job: causes of failed and of drifted rows, the first rejected rows; and what is known of
    the service that it went to.
    """

    failed: list[Cause]
    drifted: list[Cause]
    rejected: list[Rejection]
    behaviour: Behaviour | None = None


async def collect_findings(ledger: Ledger, job: Job) -> Findings:
    """Read what went wrong; nothing of a job whose state is lost.

    What it costs depends on the rows that failed, not on the job's size.
    """
    try:
        return Findings(
            await read_causes(ledger.redis, job.spec) if job.counts.failed else [],
            await read_causes(ledger.redis, job.spec, Outcome.DRIFTED) if job.counts.drifted else [],
            await _first_rejections(ledger, job) if job.counts.rejected else [],
            await ledger.behaviours.of(job.spec.target) if job.counts.failed else None,
        )
    except StateLost:
        return Findings([], [], [])


async def print_summary(ledger: Ledger, job: Job, console: Console, *, after_follow: bool = False) -> None:
    """Tell how the job went, or how it stands; `after_follow` leaves out the reason, which was shown just before."""
    on_terminal = console.file.isatty()
    for line in summary_lines(job, await collect_findings(ledger, job), after_follow=after_follow):
        # a command stays in one piece for copying; in a log each sentence stays on one line
        console.print(shown(line), soft_wrap=not on_terminal or _REPORT in line)


def summary_lines(job: Job, findings: Findings, *, after_follow: bool = False) -> list[str]:
    """Give the summary, safe for a terminal."""
    counts = job.counts
    folded = f"  ({count_of(counts.folded, 'row')} folded into an earlier row of the same id)" if counts.folded else ""
    headline = f"{_named(job)}: {job.state if after_follow and job.state in WAITING_FOR_USER else _standing(job)}"
    lines = [headline, f"  {outcome_counts(counts, pending=True)}{folded}", f"  {_traffic(job)}"]
    for word, causes, number in (
        ("failed", findings.failed, counts.failed),
        ("drifted", findings.drifted, counts.drifted),
    ):
        if number:
            lines += ["", f"{count_of(number, 'row')} {word}:", *_causes(causes, findings.behaviour), _rest(job, word)]
    if counts.rejected:
        lines += ["", f"{count_of(counts.rejected, 'row')} rejected, never sent:"]
        lines += [_rejection(rejection) for rejection in findings.rejected]
        lines.append(_rest(job, "rejected"))
    return lines


async def _first_rejections(ledger: Ledger, job: Job) -> list[Rejection]:
    first = []
    async for rejection in read_rejections(ledger.redis, job.spec):
        first.append(rejection)
        if len(first) == SAMPLES:
            break
    return first


def findings_facts(findings: Findings) -> dict[str, Any]:
    """Give the findings as JSON takes them."""
    return {
        "failed": [_cause_facts(cause, findings.behaviour) for cause in findings.failed],
        "drifted": [_cause_facts(cause, findings.behaviour) for cause in findings.drifted],
        "rejected": [
            {"line": rejection.line, "column": rejection.column, "reason": rejection.reason}
            for rejection in findings.rejected
        ],
    }


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
        said += f", {per_minute(round(traffic.requests * 60 / elapsed))} on average"
    return f"{said}, {traffic.retries:,} tried again, {traffic.throttled:,} answered 429"


def _causes(causes: list[Cause], behaviour: Behaviour | None) -> list[str]:
    lines = []
    for cause in causes[:SHOWN_CAUSES]:
        status = cause.samples[0].detail.status if cause.samples else 0
        shown_status = f" (HTTP {status})" if status else ""
        lines.append(f"  {printable(cause.code, ID_CHARS)}{shown_status}, {count_of(cause.rows, 'row')}")
        lines += [_sample(sample) for sample in cause.samples]
        lines.append(f"    > {about_rows(cause.code, status, behaviour)}")
    if len(causes) > SHOWN_CAUSES:
        lines.append(f"  and {count_of(len(causes) - SHOWN_CAUSES, 'other cause')}")
    return lines


def _sample(sample: Sample) -> str:
    patch, detail = sample
    completion_id = printable(patch.completion_id, ID_CHARS)
    return f"    line {patch.line}, {completion_id}: {printable(detail.message, MESSAGE_CHARS)}"


def _rejection(rejection: Rejection) -> str:
    column = f", column {printable(rejection.column, ID_CHARS)}" if rejection.column else ""
    return f"    line {rejection.line}{column}: {printable(rejection.reason, MESSAGE_CHARS)}"


def _rest(job: Job, word: str) -> str:
    return printable(f"  All of them: {_REPORT} {job.spec.job_id} --only {word} -o {word}.{job.spec.columns.format}")


def _cause_facts(cause: Cause, behaviour: Behaviour | None) -> dict[str, Any]:
    status = cause.samples[0].detail.status if cause.samples else 0
    samples = [
        {
            "line": patch.line,
            "id": patch.completion_id,
            "status": detail.status or None,
            "message": detail.message,
            "request_id": detail.request_id or None,
        }
        for patch, detail in cause.samples
    ]
    return {
        "code": cause.code,
        "rows": cause.rows,
        "advice": about_rows(cause.code, status, behaviour),
        "samples": samples,
    }
