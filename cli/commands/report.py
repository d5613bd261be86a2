"""`relabel report`: every row of a job and what became of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from cli.console import echo
from cli.errors import CliError
from cli.job_argument import job_argument, with_job
from cli.options import Outcomes
from cli.output import print_facts
from cli.output_file import report_file
from cli.session import pass_settings
from cli.summary import print_summary
from config.settings import Settings
from ledger.job import Job
from relabel.facts import job_facts
from relabel.findings import Findings, findings_facts, kind_facts
from relabel.report import HOW_TO_FEED_BACK, ReportOptions, job_findings, job_report
from relabel.session import Session
from report.lines import write_lines
from report.rows import WORDS

_FORMATS: dict[str, Literal["csv", "jsonl"]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@click.command("report")
@job_argument
@click.option("--only", multiple=True, type=Outcomes(WORDS), help="Rows of these outcomes, such as failed,rejected.")
@click.option("--format", "layout", type=click.Choice(["csv", "jsonl"]), help="Default: as FILE ends, or the input's.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Default: standard output.")
@click.option("--bom", is_flag=True, help="Begin a CSV report with a byte order mark, by which Excel knows UTF-8.")
@click.option("--diff", is_flag=True, help="Write what was changed, key by key: the value before and after.")
@click.option("--pace", is_flag=True, help="Write how the job went over its life instead of its rows.")
@click.option("--summary", is_flag=True, help="Print counts and causes instead of rows.")
@click.option("--json", "as_json", is_flag=True, help="With --summary: print it as JSON.")
@pass_settings
def report_command(
    settings: Settings,
    *,
    reference: str,
    only: tuple[frozenset[str], ...],
    layout: Literal["csv", "jsonl"] | None,
    output: str | None,
    bom: bool,
    diff: bool,
    pace: bool,
    summary: bool,
    as_json: bool,
) -> None:
    """Write every row of JOB with its outcome.

    The input's own columns come first, then relabel.outcome, .code, .status, .message, .request_id, .attempts, .at,
    .line, .settled_at (when the row ended, in UTC) and .input (JSONL: one field, relabel). Rows that have not ended are
    pending; rows that can never be sent are rejected; folded rows name the row that took them over. The file can be
    submitted as it is: these columns are passed over. CSV cells that a spreadsheet would run as a formula begin with
    a ', which submit takes off again as long as one column relabel.* is there.

    \b
    Examples:
      relabel report 20261123-205318-c81e4f02 --summary
      relabel report 20261123-205318-c81e4f02 --only failed,rejected -o again.csv
      relabel report 20261123-205318-c81e4f02 --format jsonl | jq .relabel.code
      relabel report 20261123-205318-c81e4f02 --diff -o changes.csv

    --diff gives a line a changed key (CSV: id, key, before, after, change, outcome) or an object a changed row
    (JSONL), of rows that were updated or failed after a write may have been sent, unless --only names others; after
    is what the job meant the key to hold.

    --pace gives a line for each stretch of the job's life, of 5 seconds or longer (CSV: time, seconds, rows, requests,
    throttled, rate_per_minute): the rows that ended in it, cancelled ones left out, the requests, those answered 429,
    and the rate in force in the end. There are some hundreds at most: the longer the job, the longer each of them.
    """
    _refuse_together(summary=summary, as_json=as_json, rows=bool(only or layout or output or bom or diff or pace))
    if summary:
        _print_summary(*with_job(settings, reference, job_findings), as_json=as_json)
        return
    path = None if output in {None, "-"} else Path(str(output))
    options = ReportOptions(frozenset[str]().union(*only), layout or _format_named(path), diff, bom, pace)
    with_job(settings, reference, lambda session, job_id: _write(session, job_id, options, path))


async def _write(session: Session, job_id: str, options: ReportOptions, path: Path | None) -> None:
    lines = await job_report(session, job_id, options)
    with report_file(path) as write:
        await write_lines(lines, write)
    if path is not None and not (options.diff or options.pace):
        echo(f"{path}: {HOW_TO_FEED_BACK}", err=True)


def _print_summary(job: Job, findings: Findings, *, as_json: bool) -> None:
    if as_json:
        print_facts(job_facts(job) | kind_facts(job, findings) | {"findings": findings_facts(findings)})
    else:
        print_summary(job, findings, Console(file=sys.stdout))


def _refuse_together(*, summary: bool, as_json: bool, rows: bool) -> None:
    """Refuse options that make no sense together; `rows` tells whether one of those about rows is there."""
    if as_json and not summary:
        raise click.UsageError("--json goes with --summary; for rows as JSON, say --format jsonl.")
    if summary and rows:
        raise click.UsageError("--summary takes none of --only, --format, --bom, --diff, --pace and -o.")


def _format_named(path: Path | None) -> Literal["csv", "jsonl"] | None:
    ending = path.suffix.lower() if path else ""
    if ending in {".gz", ".zst"}:
        raise CliError(f"{path}: reports are written plain; leave -o out and pipe the report into a compressor.")
    return _FORMATS.get(ending)
