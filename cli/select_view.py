"""Shows how far a selection is, and what it found, on standard error: standard output may carry the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from cli.console import shown
from relabel.wording import count_of, duration
from selection.collect import Found, seconds_left

if TYPE_CHECKING:
    from relabel.select import Selected

DRAW_EVERY_S = 0.25
LINE_EVERY_S = 10.0
GOING_ON = "Going on: "
_BAR_WIDTH = 100
_WORD = 9
"""Width of the word that begins a line of the result."""


@contextmanager
def select_display(console: Console) -> Iterator[Callable[[Found], None]]:
    """Yield the function that shows how far a selection is: drawn over and over on a terminal, else a line at times."""
    if not console.file.isatty() or console.is_dumb_terminal:
        yield _Lines(console).show
        return
    # standard output is left alone: it may carry the result to somewhere else
    with Live(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        yield _Drawn(console, live).show


class _Drawn:
    """Two lines that are drawn over and over, and gone at the end."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._first: Found | None = None
        self._drawn_at = 0.0

    def show(self, found: Found) -> None:
        """Draw how far it is, unless that was done right before; print where a former selection goes on."""
        if self._first is None and found.requests:
            self._console.print(shown(f"{GOING_ON}{counts_so_far(found)}"))
        self._first = self._first or found
        now = time.monotonic()
        if now - self._drawn_at >= DRAW_EVERY_S:
            self._drawn_at = now
            self._live.update(self._lines(self._first, found), refresh=True)

    def _lines(self, first: Found, found: Found) -> RenderableType:
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(ratio=1, min_width=10)
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.width = min(self._console.width, _BAR_WIDTH)
        bar = ProgressBar(total=None if found.share is None else 1.0, completed=found.share or 0.0)
        row.add_row(bar, shown(how_far(first, found)))
        # a terminal that shows Ctrl-C as ^C breaks a full line, and the drawing would not be taken away whole
        room = self._console.width - len("^C") - 1
        waits = [_one_line(f"Waiting: {found.waits_for}", room)] if found.waits_for else []
        return Group(row, shown(counts_so_far(found)), *waits)


class _Lines:
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._first: Found | None = None
        self._said_at = time.monotonic()

    def show(self, found: Found) -> None:
        """Print a line where the last one is a while ago, or where a former selection goes on."""
        is_first, self._first = self._first is None, self._first or found
        now = time.monotonic()
        if (is_first and found.requests) or now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            went_on = GOING_ON if is_first else ""
            where = how_far(self._first, found) if not found.waits_for else f"waiting: {found.waits_for}"
            said = "; ".join(filter(None, (counts_so_far(found), where)))
            self._console.print(shown(f"{went_on}{said}"), soft_wrap=True)


def _one_line(text: str, room: int) -> RenderableType:
    line = shown(text)
    line.truncate(room, overflow="ellipsis")
    return line


def how_far(first: Found, found: Found) -> str:
    """Return where the reading is, and an estimate of the time that is left, if there is one."""
    at = "" if found.at is None else f"at {datetime.fromtimestamp(found.at, UTC):%Y-%m-%d %H:%M} UTC"
    left = seconds_left(first, found)
    about = "up to" if found.may_be_less else "about"
    return ", ".join(filter(None, (at, "" if left is None else f"{about} {duration(left)} left")))


def counts_so_far(found: Found) -> str:
    """Return what was read and found so far."""
    return (
        f"read {count_of(found.read, 'completion')}, {count_of(found.requests, 'request')}; matched {found.matched:,}"
    )


def interrupted(last: Found | None) -> str:
    """Return what to say of a selection that was interrupted: whether the same command goes on with it."""
    if last is None or not last.requests:
        return "Interrupted before a page was read; nothing was found yet."
    return f"Interrupted after {count_of(last.requests, 'request')}; the same command goes on from there."


def print_selected(selected: Selected, console: Console) -> None:
    """Print what a selection found and left out, and where it is."""
    found = selected.found
    numbers = [f"{found.read:,}", f"{found.matched:,}", f"{selected.rows:,}"]
    width = max(map(len, numbers))
    read, matched, rows = (number.rjust(width) for number in numbers)
    _print(console, "Read", f"{read} completion{'s' * (found.read != 1)}, {count_of(found.requests, 'request')}")
    _print(console, "Matched", f"{matched}{_left_out(found.left_out)}")
    if selected.output is not None:
        _print(console, "Wrote", f"{rows} row{'s' * (selected.rows != 1)} to {selected.output}")
    for doubt in found.doubts:
        console.print(shown(f"Note: {doubt}."))


def _print(console: Console, word: str, text: str) -> None:
    console.print(shown(f"{word:<{_WORD}}{text}"))


def _left_out(left_out: dict[str, int]) -> str:
    if not left_out:
        return ""
    total = sum(left_out.values())
    if len(left_out) == 1:
        return f"   ({total:,} left out: {next(iter(left_out))})"
    most_first = sorted(left_out.items(), key=lambda each: -each[1])
    reasons = "; ".join(f"{number:,} {reason}" for reason, number in most_first)
    return f"   ({total:,} left out: {reasons})"
