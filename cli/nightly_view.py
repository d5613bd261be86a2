"""Shows a nightly run: its state, its files summed up, and each file that somebody has to look at."""

from __future__ import annotations

from cli.console import echo_indented, echo_parts
from cli.format import STATE_STYLES, count_style
from config.text import printable
from nightly.state import FileState, NightFile, NightState
from relabel.how_far import outcome_counts
from relabel.nightly import NOT_RUN
from relabel.nightly_run import FileGroup, NightlyRun
from relabel.wording import count_of, local_time

NAME_CHARS = 80
REASON_CHARS = 400
LISTED_FILES = 10
"""Files up to which each that went well has a line of its own."""
SHOWN_TO_LOOK_AT = 20
"""Files that somebody has to look at that are shown."""
_STYLES = {
    NightState.WAITING: "yellow",
    NightState.RUNNING: "cyan",
    NightState.FINISHED: "green",
    NightState.NEEDS_ATTENTION: "yellow",
    NightState.SKIPPED: "red",
    NightState.LOST: "red",
}
_FILE_STYLES = {FileState.DONE: "green", FileState.HELD: "yellow", FileState.REJECTED: "red"}


def show_run(seen: NightlyRun) -> None:
    """Print a run: of many files a summary, and those that somebody has to look at."""
    night = seen.night
    echo_parts((f"Run of {night.date}: ", ""), (str(night.state), _STYLES[night.state]))
    if night.reason:
        echo_indented(printable(night.reason, REASON_CHARS), indent=2)
    echo_indented(_numbers(seen), indent=2)
    if not night.state.ended and not night.inbox:
        echo_indented("No worker that has the inbox took it up yet.", indent=2)
    if len(seen.well) > LISTED_FILES:
        for group in seen.groups():
            echo_indented(_group(group), indent=2)
    else:
        for file in seen.well:
            _show_file(seen, file)
    for file in seen.to_look_at[:SHOWN_TO_LOOK_AT]:
        _show_file(seen, file)
    if (more := len(seen.to_look_at) - SHOWN_TO_LOOK_AT) > 0:
        echo_indented(f"and {count_of(more, 'file')} more to look at: `relabel nightly status --json`", indent=2)


def _numbers(seen: NightlyRun) -> str:
    night = seen.night
    began, ended = local_time(night.started_at), f", ended {local_time(night.ended_at)}" if night.ended_at else ""
    if night.state is NightState.LOST and night.ended_at:
        return f"began {began}, found lost {local_time(night.ended_at)}"
    if night.state in NOT_RUN:
        return f"at {began}"
    held = f", {night.held:,} held" if night.held else ""
    counted = f"{count_of(night.files, 'file')}, {count_of(night.jobs, 'job')}, {night.rejected:,} rejected{held}"
    return f"{counted}; began {began}{ended}"


def _group(group: FileGroup) -> str:
    rows = f": {outcome_counts(group.rows, pending=True)}" if group.rows.total else ""
    return f"{count_of(group.files, 'file')} {group.state}{rows}"


def _show_file(seen: NightlyRun, file: NightFile) -> None:
    """Print a file with its job, and the reasons below."""
    job = seen.job_of(file)
    name = printable(file.name, NAME_CHARS)
    echo_parts((f"  {name}: ", ""), (str(file.state), _FILE_STYLES.get(file.state, "")))
    if job is not None and (file.own or file.state is FileState.SUBMITTED):
        how = f"job {job.spec.job_id}: {job.state}; {outcome_counts(job.counts, pending=True)}"
        echo_indented(how, indent=4, style=count_style(job.counts) or STATE_STYLES.get(job.state, ""))
    for said in seen.why(file):
        echo_indented(printable(said, REASON_CHARS), indent=4)
