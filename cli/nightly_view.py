"""Shows a nightly run in lines."""

from __future__ import annotations

from cli.format import outcome_counts
from config.text import printable
from ledger.job import Job
from nightly.state import FileState, NightFile
from relabel.explain import standing
from relabel.nightly import NOT_RUN, NightlyRun
from relabel.wording import count_of, local_time

NAME_CHARS = 80
REASON_CHARS = 400


def run_lines(seen: NightlyRun) -> list[str]:
    """Return a run in words, safe for a terminal."""
    night = seen.night
    reason = f": {night.reason}" if night.reason else ""
    counted = f"{count_of(night.files, 'file')}, {count_of(night.jobs, 'job')}, {night.rejected:,} rejected"
    counted += f", {night.held:,} held" if night.held else ""
    if night.state in NOT_RUN:
        return [f"Run of {night.date}: {night.state}{reason}; {local_time(night.started_at)}"]
    until = f", ended {local_time(night.ended_at)}" if night.ended_at else ""
    lines = [f"Run of {night.date}: {night.state}{reason}; {counted}; began {local_time(night.started_at)}{until}"]
    if not night.state.ended and not night.inbox:
        lines.append("  No worker that has the inbox took it up yet.")
    return lines + [_file_line(file, seen.jobs.get(file.job_id or "")) for file in night.entries]


def _file_line(file: NightFile, job: Job | None) -> str:
    said = [f"  {printable(file.name, NAME_CHARS)}: {file.state}"]
    if job is not None and (file.own or file.state is FileState.SUBMITTED):
        how = standing(job) if file.state is FileState.SUBMITTED else str(job.state)
        said.append(f"job {job.spec.job_id} {how.rstrip('.')}; {outcome_counts(job.counts, pending=True)}")
    if file.reason:
        said.append(printable(file.reason, REASON_CHARS))
    return "; ".join(said)
