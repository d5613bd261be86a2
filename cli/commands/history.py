"""`relabel history`: what changed a completion, when, and from what to what."""

from __future__ import annotations

import json

import click

from cli.console import echo, echo_beside, echo_indented
from cli.exit_codes import DONE, NOTHING_KNOWN
from cli.output import print_facts
from cli.session import in_session, pass_settings
from config.settings import Settings
from config.text import printable
from relabel.history import History, HistoryEntry, history, history_facts
from relabel.wording import count_of, local_time
from report.changes import KeyChange

NAME_CHARS, VALUE_CHARS = 255, 1100
"""Most that is shown of a name and of a value, which is at most 512 characters at OpenAI, twice that when escaped."""
LINE_CHARS = 78
"""Width up to which both values of a key stand on one line."""
NAMED_JOBS = 3
"""Jobs that could not be searched that are named."""


@click.command("history")
@click.argument("completion_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the history as JSON, with whole values.")
@pass_settings
def history_command(settings: Settings, *, completion_id: str, as_json: bool) -> int:
    """Show what changed the completion ID, when and by which job.

    Each job that is kept (RELABEL_JOB__KEEP_DAYS) and has a row for ID, oldest first: when the row ended, who
    submitted the job, each key before and after, and the job that undid it. What a job with --no-undo found is unknown.
    Jobs that are kept no more are found in their archived reports, where RELABEL_ARCHIVE__DIR is set and seen here.
    Ends with 1 where nothing is known of ID.

    \b
    Example:
      relabel history chatcmpl-CUL7LAbc123
    """
    found = in_session(settings, lambda session: history(session, completion_id))
    if as_json:
        print_facts(history_facts(found))
    else:
        _show(found)
    return DONE if found.entries else NOTHING_KNOWN


def _show(found: History) -> None:
    for number, entry in enumerate(found.entries):
        if number:
            echo("")
        _show_entry(entry)
    if not found.entries:
        echo(
            f"Nothing is known of {printable(found.completion_id)}: it is in none of the "
            f"{count_of(found.searched, 'job')} that could be searched.",
            err=True,
        )
    if found.not_searched:
        what = "was" if len(found.not_searched) == 1 else "were"
        echo(
            f"{_jobs(found.not_searched)} {what} not searched: stored without an index "
            "(RELABEL_JOB__INDEX, or an earlier release). `relabel report JOB` shows their rows.",
            err=True,
        )
    if found.lost:
        what = "what they changed is not known" if len(found.lost) > 1 else "what it changed is not known"
        echo(f"Redis lost {_jobs(found.lost)}, so {what}.", err=True)
    if found.unread_archives:
        named = "; ".join(found.unread_archives[:NAMED_JOBS])
        echo(f"Archived reports cannot be read: {printable(named)}; restore them, or remove what is damaged.", err=True)
    if found.unseen_folders:
        named = "; ".join(found.unseen_folders[:NAMED_JOBS])
        echo(
            f"Archived reports were not searched: {printable(named)}. "
            "Where that folder can be seen, set RELABEL_ARCHIVE__DIR to it and ask again.",
            err=True,
        )


def _jobs(job_ids: list[str]) -> str:
    """Return how many jobs there are, with the ids of the latest."""
    more = ", ..." if len(job_ids) > NAMED_JOBS else ""
    return f"{count_of(len(job_ids), 'job')} ({', '.join(job_ids[-NAMED_JOBS:])}{more})"


def _show_entry(entry: HistoryEntry) -> None:
    job, row = entry.job, entry.row
    when = local_time(row.at) if row.at else "not ended"
    echo(f"{when}  {row.outcome}  job {job.job_id}")
    made = f"{job.kind} of {job.parent}" if job.parent else printable(job.name, NAME_CHARS)
    echo_indented(f"{made}, submitted by {printable(job.by or '(not recorded)')}", indent=2)
    if row.may_have_been_written:
        echo("  may have been written:")
    for change in row.changes:
        _show_change(change)
    for undone_by in sorted(set(entry.undone_by.values())):
        keys = [key for key, by in entry.undone_by.items() if by == undone_by]
        which = "" if len(keys) == len(row.changes) else f" ({', '.join(keys)})"
        echo_indented(f"undone by job {undone_by}{which}", indent=2)


def _show_change(change: KeyChange) -> None:
    before, after = _value(change.before) if change.before_known else "(unknown)", _value(change.after)
    line = f"  {printable(change.key)}: {before} -> {after}"
    if len(line) <= LINE_CHARS:
        echo(line)
        return
    echo(f"  {change.key}:")
    echo_beside("    from ", before)
    echo_beside("    to   ", after)


def _value(value: str | None) -> str:
    return "(absent)" if value is None else printable(json.dumps(value, ensure_ascii=False), VALUE_CHARS)
