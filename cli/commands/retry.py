"""`relabel retry`: try the failed rows of a job again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from cli.console import echo
from cli.errors import CliError
from cli.follow_up import FollowUp, Made, follow_up, follow_up_options
from config.settings import Settings
from config.text import printable
from ledger.job import Job, Kind
from ledger.ledger import Ledger
from producer.check import check_made
from producer.retry import RetryRows
from producer.submit import JobRequest
from relabel.wording import count_of

SHOWN_CODES = 5
CODE_CHARS = 64


@click.command("retry")
@follow_up_options
@click.option("--codes", metavar="A,B", help="Only rows that failed with these codes, whether they can work or not.")
@click.option("--all", "everything", is_flag=True, help="All failed rows, also those that can never work.")
def retry_command(settings: Settings, *, asked: FollowUp, codes: str | None, everything: bool) -> int:
    """Try the failed rows of JOB again: a new job of these rows, with the same mode.

    Rows that can never work as they are stay out: those that the API refused (not_found, too long, a wrong type), and
    too_many_pairs, key_not_removed and value_altered. Asking for the same retry twice finds the first one, unless
    --again is given.

    \b
    Examples:
      relabel retry 20261123-205318-c81e4f02
      relabel retry 20261123-205318-c81e4f02 --codes timeout,server_error --run
    """
    if codes is not None and everything:
        raise click.UsageError("Give either --codes or --all.")
    named = None if codes is None else frozenset(code.strip() for code in codes.split(",")) - {""}

    async def make(ledger: Ledger, job: Job, spool_dir: Path) -> Made:
        spec = job.spec
        rows = RetryRows(ledger, spec, codes=named, everything=everything)
        checked = await check_made(aiter(rows), columns=spec.columns, mode=spec.mode, spool_dir=spool_dir)
        if not checked.total:
            checked.close()
            raise CliError(f"job {spec.job_id} has no rows to retry{_left_out(rows.left_out, named)}.")
        if rows.left_out and named is None:
            echo(f"{_reported(rows.left_out)} can never work as they are; --all takes them, too.", err=True)
        return checked, JobRequest(
            "", spec.mode, spec.journal, spec.target, 1, 1.0, kind=Kind.RETRY, parent=spec.job_id
        )

    return follow_up(settings, asked, make, remark=f", codes {codes}" if codes else "")


def _left_out(left_out: Counter[str], named: frozenset[str] | None) -> str:
    if not left_out:
        return ": none failed"
    if named is not None:
        return f" with these codes; failed are: {_reported(left_out)}"
    return f" that can work as they are; correct them, or say --all: {_reported(left_out)}"


def _reported(left_out: Counter[str]) -> str:
    said = [f"{printable(code, CODE_CHARS)} {number:,}" for code, number in left_out.most_common(SHOWN_CODES)]
    more = len(left_out) - len(said)
    rest = f", {count_of(more, 'other code')}" if more > 0 else ""
    return f"{count_of(left_out.total(), 'row')} ({', '.join(said)}{rest})"
