"""`relabel status`: show the state of one job."""

from __future__ import annotations

import click

from cli.console import echo_fact
from cli.exit_codes import DONE, exit_code_of
from cli.format import how_far, local_time, outcome_counts
from cli.job_argument import job_argument, with_job
from cli.output import print_json
from cli.session import pass_settings
from config.settings import Settings
from config.text import printable
from ledger.job import Job, JobSpec
from relabel.explain import is_idle, standing, waiting_for
from relabel.snapshots import take_snapshot
from relabel.wording import count_of, per_minute

NAME_CHARS = 200
KEYS_CHARS = 200


@click.command("status")
@job_argument
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@pass_settings
def status_command(settings: Settings, *, reference: str, as_json: bool) -> int:
    """Show the state of JOB and what it waits for.

    The exit code is 0 while the job runs; then it is that of the job: 0 all rows as wanted, 1 some failed, were
    rejected or had drifted, 3 paused, held, cancelled or lost.

    \b
    Example:
      relabel status 20261123-205318-c81e4f02 --json
    """
    job, workers, _ = with_job(settings, reference, take_snapshot)
    if as_json:
        print_json(job)
    else:
        for word, said in _lines(job, waiting_for(job, workers, shared_rate=settings.rate.per_minute)):
            echo_fact(word, said)
    return exit_code_of(job) if is_idle(job) else DONE


def _lines(job: Job, waiting: str) -> list[tuple[str, str]]:
    spec, counts, traffic = job.spec, job.counts, job.traffic
    requests = f"{traffic.requests:,} sent, {traffic.retries:,} tried again, {traffic.throttled:,} answered 429"
    lines = [
        ("Job", spec.job_id),
        ("Name", printable(spec.name, NAME_CHARS)),
        ("Kind", f"{spec.kind} of job {spec.parent}" if spec.parent else ""),
        ("State", f"{standing(job)}, {waiting}" if waiting else standing(job)),
        ("Done", how_far(job)),
        ("Rows", outcome_counts(counts, pending=True)),
        ("In doubt", _in_doubt(job)),
        ("Folded", f"{count_of(counts.folded, 'row')} into an earlier row of the same id" if counts.folded else ""),
        ("Requests", requests),
        ("Mode", f"{spec.mode}, {'with' if spec.journal else 'without'} undo"),
        ("Target", printable(spec.target, NAME_CHARS)),
        ("Rate", f"at most {per_minute(job.rate_per_minute)} for this job" if job.rate_per_minute else ""),
        ("Keys", _keys(spec)),
        ("Submitted", local_time(job.submitted_at) + (f" by {printable(spec.by, NAME_CHARS)}" if spec.by else "")),
        ("Ended", local_time(job.finished_at) if job.finished_at is not None else ""),
    ]
    return [(word, said) for word, said in lines if said]


def _keys(spec: JobSpec) -> str:
    """Return the metadata keys that the job names, '' where nobody kept them."""
    named = printable(", ".join(spec.keys or ()), KEYS_CHARS)
    return f"{named}, and others" if spec.more_keys else named


def _in_doubt(job: Job) -> str:
    if not job.may_have_been_written:
        return ""
    return f"{count_of(job.may_have_been_written, 'cancelled row')} may have been written; the report marks them"
