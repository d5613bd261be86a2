"""Shows a list of jobs: on a terminal in lines that fit, elsewhere a row a job."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from cli.console import echo_indented, echo_parts, shown, terminal_columns
from cli.format import STATE_STYLES, WAIT_STYLE, count_style
from config.text import printable
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from relabel.jobs import JobSeen
from relabel.wording import local_minute, local_time

REASON_CHARS = 300
"""Most that is shown of a reason."""
ROW_NAME_CHARS, ROW_REASON_CHARS = 40, 100
"""The same of a name and a reason in a row of a table."""
FILE_WIDTH = 240
"""Width of the table where nobody's window bounds it: wide enough for every row to stay on one line."""
_GAP = "  "
_NUMBER = 2
"""The place of the column whose cells stand at its right edge."""


def show_jobs(jobs: list[JobSeen], shared_rate: float | None) -> None:
    """Print the jobs; `shared_rate`, in requests a minute, names the rate that one may wait for."""
    columns = terminal_columns()
    if columns is None:
        _print_table(jobs, shared_rate)
    else:
        _print_lines(jobs, shared_rate, columns)


def _print_lines(jobs: list[JobSeen], shared_rate: float | None, columns: int) -> None:
    """Print a line a job, its name and its reason beside it or below, where neither an id nor a word is cut."""
    cells = [("JOB", "STATE", "ROWS", "SUBMITTED"), *map(_short_cells, jobs)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    _print_line(_padded(cells[0], widths), "NAME", columns)
    for seen, cell in zip(jobs, cells[1:], strict=True):
        styles = ("", STATE_STYLES.get(seen.job.state, ""), count_style(seen.job.counts), "")
        _print_line(_padded(cell, widths), _about(seen), columns, styles=styles)
        if reason := _why(seen, shared_rate):
            style = WAIT_STYLE if seen.job.state is JobState.RUNNING else ""
            echo_indented(printable(reason, REASON_CHARS), indent=len(_GAP), style=style)


def _padded(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        f"{cell:>{width}}" if place == _NUMBER else f"{cell:<{width}}"
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]


def _print_line(cells: list[str], about: str, columns: int, *, styles: tuple[str, ...] = ("",) * 4) -> None:
    fits = len(_GAP.join([*cells, about])) <= columns
    parts = [*zip(cells, styles, strict=True), *([(about, "")] if fits else [])]
    echo_parts(*parts[:1], *(part for cell in parts[1:] for part in ((_GAP, ""), cell)))
    if not fits and about != "NAME":
        echo_indented(about, indent=len(_GAP))


def _short_cells(seen: JobSeen) -> tuple[str, ...]:
    job = seen.job
    return printable(job.spec.job_id), str(job.state), _rows(job), local_minute(job.submitted_at)


def _about(seen: JobSeen) -> str:
    """Return the job's name, what it was made of, and the rows that somebody may have to look at."""
    job, counts = seen.job, seen.job.counts
    bad = {"failed": counts.failed, "rejected": counts.rejected, "drifted": counts.drifted}
    said = [printable(job.spec.name), "" if job.spec.kind is Kind.FILE else _kind(job)]
    said += [f"{number:,} {word}" for word, number in bad.items() if number]
    said.append(f"undone by {printable(seen.undone_by)}" if seen.undone_by else "")
    return ", ".join(each for each in said if each)


def _print_table(jobs: list[JobSeen], shared_rate: float | None) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("JOB", "KIND", "NAME", "STATE"):
        table.add_column(name, overflow="fold")
    for name in ("ROWS", "FAILED", "REJECTED"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("SUBMITTED", no_wrap=True)
    table.add_column("REASON", overflow="fold")
    for seen in jobs:
        table.add_row(*map(shown, _cells(seen, shared_rate)))
    Console(width=FILE_WIDTH).print(table)


def _cells(seen: JobSeen, shared_rate: float | None) -> list[str]:
    job, counts = seen.job, seen.job.counts
    return [
        job.spec.job_id,
        _kind(job),
        printable(job.spec.name, ROW_NAME_CHARS),
        str(job.state),
        _rows(job),
        f"{counts.failed:,}",
        f"{counts.rejected:,}",
        local_time(job.submitted_at),
        printable(_why(seen, shared_rate), ROW_REASON_CHARS),
    ]


def _why(seen: JobSeen, shared_rate: float | None) -> str:
    """Return what the job waits for, and of one that is held since when."""
    said, held_at = seen.explanation(shared_rate), seen.job.held_at
    return said if held_at is None else f"since {local_minute(held_at)}{f': {said}' if said else ''}"


def _kind(job: Job) -> str:
    return f"{job.spec.kind} of {printable(job.spec.parent)}" if job.spec.parent else str(job.spec.kind)


def _rows(job: Job) -> str:
    return f"{job.counts.carried_out:,}/{job.counts.total:,}"
