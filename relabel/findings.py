"""Collects what went wrong in a job: its failures by cause, with what to do about each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger.errors import StateLost
from ledger.failures import SAMPLES, Cause, read_causes
from ledger.input_files import InputFile, place_of
from ledger.job import Job
from ledger.job_spec import Kind
from ledger.ledger import Ledger
from ledger.row import Outcome, Rejection
from ledger.row_reader import read_rejections
from ledger.service_profile import Behaviour
from relabel.advice import about_rows
from relabel.next_steps import NextStep, next_steps
from relabel.plan_findings import PlanFindings, plan_facts, plan_findings
from relabel.session import Session
from relabel.verification import Verification, verification_facts


class Findings(NamedTuple):
    """The causes of failed and of drifted rows, the first rejected rows, and what is known of the job's service.

    `files` are those of the job's input where it had several. `next_steps` is what can be done with a finished job.
    `plan` is what a plan found.
    """

    failed: list[Cause]
    drifted: list[Cause]
    rejected: list[Rejection]
    files: Sequence[InputFile] = ()
    behaviour: Behaviour | None = None
    next_steps: tuple[NextStep, ...] = ()
    plan: PlanFindings | None = None

    def advice(self, cause: Cause) -> str:
        """Return what to do about the rows of a cause."""
        return about_rows(cause.code, status_of(cause), self.behaviour)


async def collect_findings(session: Session, job: Job) -> Findings:
    """Return what went wrong; nothing of a job whose state is lost.

    What it costs depends on the rows that failed, not on the job's size.
    """
    ledger = session.ledger
    try:
        return Findings(
            await read_causes(ledger.redis, job.spec) if job.counts.failed else [],
            await read_causes(ledger.redis, job.spec, Outcome.DRIFTED) if job.counts.drifted else [],
            await _first_rejections(ledger, job) if job.counts.rejected else [],
            job.spec.files,
            await ledger.behaviours.of(job.spec.target) if job.counts.failed else None,
            tuple(next_steps(session, job)),
            await plan_findings(ledger, job),
        )
    except StateLost:
        return Findings([], [], [])


def status_of(cause: Cause) -> int:
    """Return the HTTP status of the cause's first row, 0 where there was no answer."""
    return cause.samples[0].detail.status if cause.samples else 0


def kind_facts(job: Job, findings: Findings) -> dict[str, Any]:
    """Return what a plan or a verification found, as JSON takes it; nothing of other kinds."""
    if findings.plan:
        return plan_facts(job, findings.plan)
    is_verify = job.spec.kind is Kind.VERIFY
    return {"verification": verification_facts(Verification(job))} if is_verify else {}


def findings_facts(findings: Findings) -> dict[str, Any]:
    """Return the findings as JSON takes them."""
    return {
        "failed": [_cause_facts(findings, cause) for cause in findings.failed],
        "drifted": [_cause_facts(findings, cause) for cause in findings.drifted],
        "rejected": [
            {**place_facts(rejection.line, findings.files), "column": rejection.column, "reason": rejection.reason}
            for rejection in findings.rejected
        ],
        "next_steps": [step._asdict() for step in findings.next_steps],
    }


def place_facts(line: int, files: Sequence[InputFile]) -> dict[str, Any]:
    """Return the line as JSON takes it, and its file where the input is several."""
    place = place_of(line, files)
    return {"file": place.file, "line": place.line} if place.file else {"line": line}


async def _first_rejections(ledger: Ledger, job: Job) -> list[Rejection]:
    first = []
    async for rejection in read_rejections(ledger.redis, job.spec):
        first.append(rejection)
        if len(first) == SAMPLES:
            break
    return first


def _cause_facts(findings: Findings, cause: Cause) -> dict[str, Any]:
    samples = [
        {
            **place_facts(patch.line, findings.files),
            "id": patch.completion_id,
            "status": detail.status or None,
            "message": detail.message,
            "request_id": detail.request_id or None,
        }
        for patch, detail in cause.samples
    ]
    return {"code": cause.code, "rows": cause.rows, "advice": findings.advice(cause), "samples": samples}
