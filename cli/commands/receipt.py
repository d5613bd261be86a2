"""`relabel receipt`: what a job was asked to do, what became of it, and digests that anybody can recompute."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.job_argument import job_argument, with_job
from cli.output_file import report_file
from cli.session import pass_settings
from config.settings import Settings
from ledger.job_spec import CHANGING_KINDS, Kind
from relabel.receipt import make_receipt


@click.command("receipt")
@job_argument
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Default: standard output.")
@pass_settings
def receipt_command(settings: Settings, *, reference: str, output: str | None) -> None:
    """Print the receipt of JOB as JSON.

    It has the counts, digests of what was asked for and of how each row ended, who submitted the job and when, and
    what the latest `relabel verify` found; no id and no value of a completion. Anybody who has the job's report can
    recompute the digests: docs/receipt.md has the recipe. JOB has to have ended.

    \b
    Examples:
      relabel receipt 20261123-205318-c81e4f02
      relabel receipt last -o receipt.json
    """
    path = None if output in {None, "-"} else Path(str(output))
    receipt = with_job(settings, reference, make_receipt, kinds=CHANGING_KINDS | {Kind.PLAN})
    with report_file(path) as write:
        write(json.dumps(receipt, indent=2).encode() + b"\n")
