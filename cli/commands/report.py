"""`relabel report`: every row of a job and what became of it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import click
from rich.console import Console

from cli.errors import CliError
from cli.exit_codes import DONE
from cli.output import print_facts
from cli.output_file import report_file
from cli.session import pass_settings, with_ledger
from cli.summary import print_summary
from config.settings import Settings
from ledger.errors import StateLost
from ledger.job import Job, JobSpec, JobState
from ledger.ledger import Ledger
from ledger.row import Outcome
from relabel.errors import RowsLost
from relabel.facts import job_facts
from relabel.findings import collect_findings, findings_facts
from report.diff import WRITTEN, CsvDiff, JsonlDiff, diff_lines
from report.lines import report_lines, write_lines
from report.whole_file import Write

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_OUTCOMES = {outcome.word: outcome for outcome in Outcome}


@click.command("report")
@click.argument("job_id", metavar="JOB")
@click.option("--only", multiple=True, type=click.Choice(list(_OUTCOMES)), help="Rows of this outcome; repeatable.")
@click.option("--format", "layout", type=click.Choice(["csv", "jsonl"]), help="Default: as FILE ends, or the input's.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Default: standard output.")
@click.option("--diff", is_flag=True, help="Write what was changed, key by key: the value before and after.")
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
    diff: bool,
    summary: bool,
    as_json: bool,
) -> int:
    """Write every row of JOB with its outcome.

    The input's own columns come first, then relabel.outcome, .code, .status, .message, .request_id, .attempts, .at,
    .line, .settled_at (when the row ended, in UTC) and .input (JSONL: one field, relabel). Rows that have not ended are
    pending; rows that were never sent are rejected. The file can be submitted as it is: these columns are passed over.
    CSV cells that a spreadsheet would run as a formula begin with a ', which submit takes off again.

    \b
    Examples:
      relabel report 20261123-205318-c81e4f02 --summary
      relabel report 20261123-205318-c81e4f02 --only failed -o failed.csv && relabel submit failed.csv
      relabel report 20261123-205318-c81e4f02 --format jsonl | jq .relabel.code
      relabel report 20261123-205318-c81e4f02 --diff -o changes.csv

    --diff gives a line a changed key (CSV: id, key, before, after, change, outcome) or an object a changed row
    (JSONL), of rows that were updated or failed after a write may have been sent, unless --only names others; after
    is what the job meant the key to hold.
    """
    _refuse_together(summary=summary, as_json=as_json, rows=bool(only or layout or output or diff))
    path = None if output in {None, "-"} else Path(str(output))
    layout = layout or _format_named(path)
    wanted = frozenset(_OUTCOMES[word] for word in only) or frozenset(Outcome)

    async def report(ledger: Ledger) -> int:
        job = await ledger.jobs.get(job_id)
        if summary:
            await _summarise(ledger, job, as_json=as_json)
            return DONE
        _refuse_unreadable(job)
        rows = report_lines(ledger, job.spec, only=wanted, layout=layout)
        lines = _diff(ledger, job.spec, layout, only) if diff else rows
        with report_file(path) as write:
            await _write(lines, job.spec, write)
        return DONE

    return with_ledger(settings, report)


def _refuse_together(*, summary: bool, as_json: bool, rows: bool) -> None:
    """Refuse options that make no sense together; `rows` tells whether one of those about rows is there."""
    if as_json and not summary:
        raise click.UsageError("--json goes with --summary; for rows as JSON, say --format jsonl.")
    if summary and rows:
        raise click.UsageError("--summary takes none of --only, --format, --diff and -o.")


async def _summarise(ledger: Ledger, job: Job, *, as_json: bool) -> None:
    if as_json:
        print_facts(job_facts(job) | {"findings": findings_facts(await collect_findings(ledger, job))})
    else:
        await print_summary(ledger, job, Console(file=sys.stdout))


async def _write(lines: AsyncIterator[bytes], spec: JobSpec, write: Write) -> None:
    try:
        await write_lines(lines, write)
    except StateLost as error:
        raise _rows_lost(spec.job_id) from error


def _diff(ledger: Ledger, spec: JobSpec, chosen: str | None, only: tuple[str, ...]) -> AsyncIterator[bytes]:
    if not spec.journal:
        raise CliError(f"job {spec.job_id} did not keep what was there before (--no-undo), so there is no --diff.")
    id_column = spec.columns.id_column
    layout = CsvDiff(id_column) if (chosen or spec.columns.format) == "csv" else JsonlDiff(id_column)
    return diff_lines(ledger, spec, layout, {_OUTCOMES[word] for word in only} or WRITTEN)


def _refuse_unreadable(job: Job) -> None:
    if job.state is JobState.SUBMITTING:
        raise CliError(f"job {job.spec.job_id} is still being stored; try again when `relabel status` says running.")
    if job.state is JobState.LOST:
        raise _rows_lost(job.spec.job_id)


def _rows_lost(job_id: str) -> RowsLost:
    return RowsLost(
        f"Redis lost rows of job {job_id}, so there is no whole report; submit the file again with --again: "
        "rows that are as they should be are then left unchanged."
    )


def _format_named(path: Path | None) -> str | None:
    ending = path.suffix.lower() if path else ""
    if ending in {".gz", ".zst"}:
        raise CliError(f"{path}: reports are written plain; leave -o out and pipe the report into a compressor.")
    return _FORMATS.get(ending)
