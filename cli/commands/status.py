"""`relabel status`: show the state of one job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click

from cli.console import echo_fact
from cli.exit_codes import DONE, exit_code_of
from cli.format import STATE_STYLES, WAIT_STYLE, count_style
from cli.job_argument import job_argument, with_job
from cli.output import print_facts
from cli.plan_view import change_lines, sample_lines
from cli.session import pass_settings
from config.settings import Settings
from config.text import printable
from ledger.job import Canary, Counts, Job, JobState
from ledger.job_spec import JobSpec, Kind
from relabel.advice import next_step
from relabel.explain import MESSAGE_CHARS, is_idle, reason_of, selected_so_far, waiting_for
from relabel.how_far import how_far, outcome_counts
from relabel.jobs import ChildJob, JobSeen, see_job, seen_facts
from relabel.next_steps import after_plan
from relabel.verification import said_of
from relabel.wording import count_of, local_time, per_minute

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
    seen = with_job(settings, reference, see_job)
    if as_json:
        print_facts(seen_facts(seen))
    else:
        for fact in _facts(seen, settings.rate.per_minute):
            echo_fact(*fact[:2], style=fact.style)
    return exit_code_of(seen.job) if is_idle(seen.job) else DONE


class _Fact(NamedTuple):
    word: str
    said: str
    style: str = ""


def _facts(seen: JobSeen, shared_rate: float | None) -> list[_Fact]:
    job, spec, counts, traffic = seen.job, seen.job.spec, seen.job.counts, seen.job.traffic
    requests = f"{traffic.requests:,} sent, {traffic.retries:,} tried again, {traffic.throttled:,} answered 429"
    facts = [
        _Fact("Job", spec.job_id),
        _Fact("Name", printable(spec.name, NAME_CHARS)),
        _Fact("Kind", _kind(spec)),
        _Fact("State", str(job.state), STATE_STYLES.get(job.state, "")),
        _Fact("Reason", printable(reason_of(job) or "", MESSAGE_CHARS)),
        _Fact("Waits", waiting_for(job, seen.idle, shared_rate=shared_rate), WAIT_STYLE),
        _Fact("Next", next_step(job) or after_plan(job)),
        _Fact("Selected", selected_so_far(job.selection) if job.selection else ""),
        _Fact("Done", how_far(job) if job.selection is None or job.selection.is_read else ""),
        _Fact("Canary", _canary(job)),
        _Fact("Rows", outcome_counts(counts, kind=spec.kind, pending=True), count_style(counts)),
        *_planned(seen),
        _Fact("In doubt", _in_doubt(job)),
        _Fact("Folded", _folded(counts)),
        *(_about_child(child) for child in seen.children if child.made.kind != Kind.VERIFY),
        _Fact("Verified", *_verified(seen)),
        _Fact("Requests", "" if job.state is JobState.LOST else requests),
        _Fact("Mode", f"{spec.mode}{_with_undo(spec)}{_order(spec)}"),
        _Fact("Target", printable(spec.target, NAME_CHARS)),
        _Fact("Rate", f"at most {per_minute(job.rate_per_minute)} for this job" if job.rate_per_minute else ""),
        _Fact("Keys", _keys(spec)),
        _Fact("Held", f"since {local_time(job.held_at)}" if job.held_at else ""),
        _Fact("Submitted", local_time(job.submitted_at) + (f" by {printable(spec.by, NAME_CHARS)}" if spec.by else "")),
        *_approval(job),
        _Fact("Ended", local_time(job.finished_at) if job.finished_at is not None else ""),
    ]
    return [fact for fact in facts if fact.said]


_CHILDREN = {
    Kind.UNDO: ("Undo", "Undone"),
    Kind.RETRY: ("Retry", "Retried"),
    Kind.PLAN: ("Plan", "Planned"),
    Kind.APPLY: ("Apply", "Applied"),
}
"""What is said of a job that was made of another one: while it goes on, and when it has ended."""


def _planned(seen: JobSeen) -> Iterator[_Fact]:
    """Yield what a plan found: a fact a change, the first rows, and the digest."""
    if seen.plan is None:
        return
    for number, line in enumerate(change_lines(seen.plan)):
        yield _Fact("" if number else "Changes", line)
    for number, line in enumerate(sample_lines(seen.job, seen.plan)):
        yield _Fact("" if number else "First rows", line)
    yield _Fact("Digest", seen.plan.digest or "")


def _about_child(child: ChildJob) -> _Fact:
    """Return which job was made of this one's rows, or is to be, and how its rows stand."""
    made, job = child
    has_ended = job is None or job.state is JobState.FINISHED
    word = _CHILDREN[Kind(made.kind)][has_ended]
    named = f"{'by job' if has_ended else 'job'} {printable(made.job_id)}"
    remark = f" ({printable(made.remark, KEYS_CHARS)})" if made.remark else ""
    if job is None:
        return _Fact(word, f"{named}{remark}, which is kept no more")
    state = "" if has_ended else f"{job.state}, "
    return _Fact(word, f"{named}{remark}: {state}{outcome_counts(job.counts, kind=job.spec.kind, pending=True)}")


def _approval(job: Job) -> Iterator[_Fact]:
    """Yield who approved the job, or what has to be approved."""
    approval = job.approval
    if approval and approval.approved_by and approval.approved_at:
        who = printable(approval.approved_by, NAME_CHARS)
        yield _Fact("Approved", f"{local_time(approval.approved_at)} by {who}, digest {approval.digest}")
    elif approval and job.lacks_approval:
        yield _Fact("Approve", f"digest {approval.digest}")


def _canary(job: Job) -> str:
    if job.canary is None:
        return ""
    how = {
        Canary.RUNNING: f"{job.canary_ended:,} of them have ended; the other rows wait for them",
        Canary.PASSED: "read back and in order",
        Canary.FAILED: "failed; the other rows wait for your decision",
        Canary.OVERRULED: "failed; the job was resumed all the same",
    }[job.canary]
    is_all = job.spec.canary == job.spec.rows
    return f"{count_of(job.spec.canary, 'row')}, {'all that there are, each read back' if is_all else how}"


def _verified(seen: JobSeen) -> tuple[str, str]:
    """Return what the latest verification of the job found, or a verification itself, and its colour."""
    found = seen.verification
    if found is None:
        return "", ""
    style = "" if found.holds or not found.job.state.ended else "red"
    own = found.job.spec.job_id == seen.job.spec.job_id
    when = f" on {local_time(found.job.finished_at)}" if found.job.finished_at is not None else ""
    return said_of(found) + ("" if own else f"; by job {printable(found.job.spec.job_id)}{when}"), style


def _kind(spec: JobSpec) -> str:
    """Return what the job is, where it is not simply a file's."""
    if spec.parent:
        return f"{spec.kind} of job {spec.parent}"
    return "" if spec.kind is Kind.FILE else str(spec.kind)


def _with_undo(spec: JobSpec) -> str:
    """Return whether the job can be undone; nothing of one that changes nothing."""
    if spec.kind.only_reads:
        return ""
    return ", with undo" if spec.journal else ", without undo"


def _folded(counts: Counts) -> str:
    return f"{count_of(counts.folded, 'row')} into an earlier row of the same id" if counts.folded else ""


def _order(spec: JobSpec) -> str:
    return ", oldest first" if spec.oldest_first else ""


def _keys(spec: JobSpec) -> str:
    """Return the metadata keys that the job names, '' where nobody kept them."""
    named = printable(", ".join(spec.keys or ()), KEYS_CHARS)
    return f"{named}, and others" if spec.more_keys else named


def _in_doubt(job: Job) -> str:
    if not job.may_have_been_written:
        return ""
    return f"{count_of(job.may_have_been_written, 'cancelled row')} may have been written; the report marks them"
