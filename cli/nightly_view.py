"""How a nightly run stands, for people and for programs."""

from __future__ import annotations

from typing import Any, NamedTuple

from cli.format import local_time, outcome_counts
from config.text import printable
from ledger.clock import utc_time
from ledger.errors import NoSuchJob
from ledger.job import Job
from ledger.ledger import Ledger
from nightly.state import FileState, Night, NightFile, NightState
from relabel.explain import WAITING_FOR_USER, standing
from relabel.wording import count_of

NAME_CHARS = 80
REASON_CHARS = 400


class NightSeen(NamedTuple):
    """A run, and those of its jobs that the ledger still has."""

    night: Night
    jobs: dict[str, Job]

    @property
    def stuck(self) -> bool:
        """Whether all jobs that have not ended wait for somebody to resume them."""
        night = self.night
        open_jobs = [self.jobs.get(file.job_id or "") for file in night.of(FileState.SUBMITTED)]
        going_on = [job for job in open_jobs if job is None or job.state not in WAITING_FOR_USER]
        return bool(open_jobs) and not going_on and not night.of(FileState.TAKEN)

    @property
    def rows_failed(self) -> bool:
        """Whether a row of the run's own jobs failed, was rejected or had drifted."""
        own = [self.jobs[file.job_id] for file in self.night.entries if file.own and file.job_id in self.jobs]
        return any(job.counts.failed or job.counts.rejected or job.counts.drifted for job in own)


async def look(ledger: Ledger, night: Night) -> NightSeen:
    """Read the jobs of a run."""
    jobs = {}
    for job_id in {file.job_id for file in night.entries if file.job_id}:
        try:
            jobs[job_id] = await ledger.jobs.get(job_id)
        except NoSuchJob:
            continue
    return NightSeen(night, jobs)


def night_facts(seen: NightSeen) -> dict[str, Any]:
    """Give a run as JSON takes it."""
    night = seen.night
    return {
        "date": night.date,
        "state": str(night.state),
        "reason": night.reason or None,
        "asked_by": night.asked_by,
        "started_at": utc_time(night.started_at),
        "ended_at": None if night.ended_at is None else utc_time(night.ended_at),
        "files": night.files,
        "jobs": night.jobs,
        "rejected": night.rejected,
        "entries": [_file_facts(file, seen.jobs.get(file.job_id or "")) for file in night.entries],
    }


def night_lines(seen: NightSeen) -> list[str]:
    """Give a run in words, safe for a terminal."""
    night = seen.night
    reason = f": {night.reason}" if night.reason else ""
    counted = f"{count_of(night.files, 'file')}, {count_of(night.jobs, 'job')}, {night.rejected:,} rejected"
    if night.state is NightState.SKIPPED:
        return [f"Run of {night.date}: skipped{reason}; {local_time(night.started_at)}"]
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


def _file_facts(file: NightFile, job: Job | None) -> dict[str, Any]:
    counts = None if job is None else job.counts
    return {
        "name": file.name,
        "state": str(file.state),
        "reason": file.reason or None,
        "place": file.place,
        "job_id": file.job_id,
        "own": file.own,
        "job_state": None if job is None else str(job.state),
        "rows": None if counts is None else {name: getattr(counts, name) for name in counts.__struct_fields__},
    }
