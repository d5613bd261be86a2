"""Follows a job: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from cli.console import shown
from cli.format import STATE_STYLES, WAIT_STYLE, count_style
from config.text import printable
from ledger.job import Job
from relabel.how_far import how_far, outcome_counts, share
from relabel.run import LOOK_EVERY_S
from relabel.session import Session
from relabel.snapshots import JobSnapshot, job_snapshots
from relabel.wording import count_of

LINE_EVERY_S = 5.0
"""Shortest time between two plain lines, unless another tenth of the rows is done."""
LINE_LATER_EVERY_S = 30.0
"""The same once a job has taken `LINE_LATER_AFTER_S`, so that the log of a day-long job stays short."""
LINE_LATER_AFTER_S = 120.0
_BAR_MAX_WIDTH = 100


class Display(Protocol):
    """Something that shows a job while it is followed."""

    def show(self, seen: JobSnapshot) -> None:
        """Show the job as it stands now."""


async def follow(session: Session, job_id: str, console: Console) -> Job:
    """Show a job's progress until it ends or is paused or held, and return it as it then stands.

    May be cancelled at any moment; the terminal is left as it was.

    Raises:
        NoSuchJob: there is no such job.

    """
    with progress_display(console, session.settings.rate.per_minute) as show:
        async for seen in job_snapshots(session, job_id, every_s=LOOK_EVERY_S):
            show(seen)
    return seen.job


@contextmanager
def progress_display(console: Console, shared_rate: float | None) -> Iterator[Callable[[JobSnapshot], None]]:
    """Yield the function that shows each snapshot of a job.

    `shared_rate`, in requests a minute, lets the display name the rate that rows wait for.
    """
    outages = OutageNotice(console)
    display: Display | None = None
    with ExitStack() as stack:

        def show(seen: JobSnapshot) -> None:
            nonlocal display
            outages.show(seen)
            display = display or stack.enter_context(_display(console, shared_rate))
            display.show(seen)

        yield show


def _display(console: Console, shared_rate: float | None) -> AbstractContextManager[Display]:
    # not console.is_terminal: FORCE_COLOR makes it say yes for a log file, too
    if console.file.isatty() and not console.is_dumb_terminal:
        return LiveBar(console, shared_rate)
    return nullcontext(PlainLines(console, shared_rate))


class LiveBar:
    """Three lines that are drawn over and over: the bar, the counts, and why it is slow."""

    def __init__(self, console: Console, shared_rate: float | None) -> None:
        self._console = console
        self._shared_rate = shared_rate
        # standard output is left alone: it may carry JSON to somewhere else
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> LiveBar:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, seen: JobSnapshot) -> None:
        """Draw the job as it stands now."""
        self._live.update(self._drawn(seen), refresh=True)

    def _drawn(self, seen: JobSnapshot) -> RenderableType:
        counts = seen.job.counts
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(ratio=1, min_width=10)
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.width = min(self._console.width, _BAR_MAX_WIDTH)
        row.add_row(ProgressBar(total=1.0, completed=share(counts)), shown(how_far(seen.job)))
        rows = shown(outcome_counts(counts, kind=seen.job.spec.kind), style=count_style(counts))
        style = WAIT_STYLE if seen.goes_on else STATE_STYLES.get(seen.job.state, "")
        return Group(row, rows, shown(seen.explanation(self._shared_rate), style=style))


class PlainLines:
    """One line at the start, one now and then, one at the end: for logs and pipes."""

    def __init__(
        self, console: Console, shared_rate: float | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._shared_rate = shared_rate
        self._clock = clock
        self._began: float | None = None
        self._told_at = 0.0
        self._told_tenth = 0

    def show(self, seen: JobSnapshot) -> None:
        """Print a line where there is enough to say."""
        job, now = seen.job, self._clock()
        if self._began is None:
            self._began = now
            name = printable(job.spec.name, 80)
            self._print(f"Job {job.spec.job_id} ({name}): {count_of(job.counts.total, 'row')}", seen, now)
        elif not seen.goes_on or (not seen.outage and self._is_due(job, now)):
            self._print(how_far(job), seen, now)

    def _is_due(self, job: Job, now: float) -> bool:
        late = now - (self._began or now) > LINE_LATER_AFTER_S
        pause = LINE_LATER_EVERY_S if late else LINE_EVERY_S
        return now - self._told_at >= pause or _tenth(job) > self._told_tenth

    def _print(self, said: str, seen: JobSnapshot, now: float) -> None:
        counts = outcome_counts(seen.job.counts, kind=seen.job.spec.kind)
        self._console.print(shown(f"{said}; {counts}; {seen.explanation(self._shared_rate)}"), soft_wrap=True)
        self._told_at, self._told_tenth = now, _tenth(seen.job)


def _tenth(job: Job) -> int:
    return int(share(job.counts) * 10)


class OutageNotice:
    """Prints once that Redis is away and once that it is back."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._away = False

    def show(self, seen: JobSnapshot) -> None:
        """Print what changed since the last snapshot."""
        away = bool(seen.outage)
        if away and not self._away:
            self._console.print(shown(f"{seen.outage} Trying again until it answers."), soft_wrap=True)
        elif self._away and not away:
            self._console.print(shown("Redis answers again."), soft_wrap=True)
        self._away = away
