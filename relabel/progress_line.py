"""One line on a job's progress, drawn over and over: in a terminal and in a notebook."""

from __future__ import annotations

import builtins
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from config.text import printable
from relabel.wording import count_of, duration

if TYPE_CHECKING:
    from relabel.job_status import JobStatus

MESSAGE_CHARS = 200


def progress_of(progress: bool | Callable[[JobStatus], object]) -> Callable[[JobStatus], object]:
    """Return what shows the progress of a job: the given function, the line for True, nothing for False."""
    if callable(progress):
        return progress
    return ProgressLine(sys.stderr).show if progress else lambda _: None


class ProgressLine:
    """Draws the line over itself where somebody looks at it; elsewhere it writes only the last one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_live = stream.isatty() or hasattr(builtins, "__IPYTHON__")
        self._drawn = 0

    def show(self, status: JobStatus) -> None:
        """Draw the job as it stands now."""
        said = printable(progress_text(status), MESSAGE_CHARS)
        if self._is_live:
            said = said[: shutil.get_terminal_size().columns - 1]
            self._stream.write(f"\r{said.ljust(self._drawn)}")
            self._drawn = len(said)
        if not status.goes_on:
            self._stream.write("\n" if self._is_live else f"{said}\n")
        self._stream.flush()


def progress_text(status: JobStatus) -> str:
    """Return how far a job is, in one line."""
    rows = status.rows
    done = rows.total - rows.pending
    parts = [f"{done:,} of {count_of(rows.total, 'row')}"]
    if status.selection and not status.selection.is_read:
        parts = [f"{count_of(status.selection.read, 'completion')} read", f"{status.selection.matched:,} match"]
    parts += [
        f"{number:,} {word}"
        for word in ("updated", "would_change", "failed", "rejected", "drifted")
        if (number := getattr(rows, word))
    ]
    if status.goes_on and status.rows_per_s:
        parts.append(f"{status.rows_per_s:,.1f} rows/s")
        parts += [f"{duration(status.eta_s)} left"] if status.eta_s else []
    if not status.goes_on:
        parts.append(f"{status.state}: {status.reason}" if status.reason else status.state)
    return f"Job {status.job_id}: {', '.join(parts)}".replace("would_change", "would change")
