"""Writes colours and places for the terminal; what other doors say, too, is in `relabel.wording` and `how_far`."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.input_files import InputFile, place_of
from ledger.job import Counts, JobState

STATE_STYLES = {
    JobState.RUNNING: "cyan",
    JobState.FINISHED: "green",
    JobState.PAUSED: "yellow",
    JobState.HELD: "yellow",
    JobState.CANCELLED: "yellow",
    JobState.LOST: "red",
}
"""The colours of states on a terminal; a job that is being stored has none."""
WAIT_STYLE = "yellow"
"""The colour of what a job waits for."""


def count_style(counts: Counts) -> str:
    """Return the colour of a job's counts: red where somebody has to look at rows."""
    return "red" if counts.failed or counts.rejected or counts.drifted else ""


def at_lines(lines: Sequence[int], files: Sequence[InputFile] = ()) -> str:
    """Return the lines of a file by number: `line 3`, `lines 3, 4`; of several files each with its name."""
    if files:
        return "; ".join(str(place_of(line, files)) for line in lines)
    return f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines))}"
