"""`relabel report`: every row of a job and what became of it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Set
from pathlib import Path

import click
from rich.console import Console

from cli.as_json import job_facts, print_facts
from cli.complaint import Complaint, WrongUse
from cli.door import pass_settings, with_ledger
from cli.exit_codes import DONE, NOT_FINISHED
from cli.report_csv import CsvReport
from cli.report_file import Write, report_file
from cli.report_jsonl import JsonlReport
from cli.report_rows import Layout, laid_out, report_rows
from cli.summary import collect_findings, findings_facts, print_summary
from config.settings import Settings
from ledger.job import Columns, Job, JobSpec, JobState
from ledger.ledger import Ledger
from ledger.row import Outcome
from ledger.settlements import StateLost

WRITE_TOGETHER = 1 << 16
"""Bytes that are gathered for one write."""
_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_OUTCOMES = {outcome.word: outcome for outcome in Outcome}


class RowsLost(Complaint):
    """The job's rows are gone from Redis."""

    exit_code = NOT_FINISHED


@click.command("report")
@click.argument("job_id", metavar="JOB")
@click.option("--only", multiple=True, type=click.Choice(list(_OUTCOMES)), help="Rows of this outcome; repeatable.")
@click.option("--format", "layout", type=click.Choice(["csv", "jsonl"]), help="Default: as FILE ends, or the input's.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Default: standard output.")
@click.option("--summary", is_flag=True, help="Print counts and causes instead of rows.")
@click.option("--json", "as_json", is_flag=True, help="With --summary: print it as JSON.")
@pass_settings
def report_command(
    settings: Settings,
    *,
    job_id: str,
    only: tuple[str, ...],
    layout: str | None,
    output: str | None,
    summary: bool,
    as_json: bool,
) -> int:
    """Write every row of JOB with what became of it.

    The input's own columns come first, then relabel.outcome, .code, .status, .message, .request_id, .attempts, .at,
    .line and .input (JSONL: one field, relabel). Rows that have not ended are pending; rows that were never sent
    are rejected. The file can be submitted as it is: these columns are passed over. CSV cells that a spreadsheet
    would run as a formula begin with a ', which submit takes off again.

    \b
    Examples:
      relabel report 20261123-205318-c81e --summary
      relabel report 20261123-205318-c81e --only failed -o failed.csv && relabel submit failed.csv
      relabel report 20261123-205318-c81e --format jsonl | jq .relabel.code
    """
    if as_json and not summary:
        raise click.UsageError("--json goes with --summary; for rows as JSON, say --format jsonl.")
    if summary and (only or layout or output):
        raise click.UsageError("--summary takes none of --only, --format and -o.")
    path = None if output in {None, "-"} else Path(str(output))
    layout = layout or _format_named(path)
    wanted = frozenset(_OUTCOMES[word] for word in only) or frozenset(Outcome)

    async def report(ledger: Ledger) -> int:
        job = await ledger.jobs.get(job_id)
        if summary:
            await _summarise(ledger, job, as_json=as_json)
            return DONE
        _refuse_unreadable(job)
        with report_file(path) as write:
            await _write_rows(ledger, job.spec, _layout(job.spec.columns, layout), wanted, write)
        return DONE

    return with_ledger(settings, report)


async def _summarise(ledger: Ledger, job: Job, *, as_json: bool) -> None:
    if as_json:
        print_facts(job_facts(job) | {"findings": findings_facts(await collect_findings(ledger, job))})
    else:
        await print_summary(ledger, job, Console(file=sys.stdout))


async def _write_rows(ledger: Ledger, spec: JobSpec, layout: Layout, only: Set[Outcome], write: Write) -> None:
    try:
        async for lines in _gathered(ledger, spec, layout, only):
            write(lines)
    except StateLost as error:
        raise _rows_lost(spec.job_id) from error


async def _gathered(ledger: Ledger, spec: JobSpec, layout: Layout, only: Set[Outcome]) -> AsyncIterator[bytes]:
    lines, size = [layout.head()], 0
    async for row in report_rows(ledger, spec, only):
        line = laid_out(row, layout)
        lines.append(line)
        size += len(line)
        if size >= WRITE_TOGETHER:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def _refuse_unreadable(job: Job) -> None:
    if job.state is JobState.SUBMITTING:
        raise WrongUse(f"job {job.spec.job_id} is still being stored; try again when `relabel status` says running.")
    if job.state is JobState.LOST:
        raise _rows_lost(job.spec.job_id)


def _rows_lost(job_id: str) -> RowsLost:
    return RowsLost(
        f"Redis lost rows of job {job_id}, so there is no whole report; submit the file again with --again: "
        "rows that are as they should be are then left unchanged."
    )


def _layout(columns: Columns, chosen: str | None) -> Layout:
    return CsvReport(columns) if (chosen or columns.format) == "csv" else JsonlReport(columns)


def _format_named(path: Path | None) -> str | None:
    ending = path.suffix.lower() if path else ""
    if ending in {".gz", ".zst"}:
        raise WrongUse(f"{path}: reports are written plain; leave -o out and pipe the report into a compressor.")
    return _FORMATS.get(ending)
