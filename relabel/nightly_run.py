"""A nightly run with its jobs: which of its files somebody has to look at, and why each stands as it does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ledger.clock import utc_time
from ledger.job import Counts, Job, JobState
from ledger.ledger import Ledger
from nightly.state import FileState, Night, NightFile
from relabel.advice import next_step
from relabel.explain import WAITING_FOR_USER, reason_of

NOT_APPLIED = frozenset({FileState.HELD, FileState.REJECTED, FileState.LEFT})
"""States of a file of which nothing was sent."""


class FileGroup(NamedTuple):
    """Files of a run in one state that nobody has to look at: how many, and the rows of their jobs by outcome."""

    state: FileState
    files: int
    rows: Counts


class NightlyRun(NamedTuple):
    """A run, and those of its jobs that the ledger still has."""

    night: Night
    jobs: dict[str, Job]

    def job_of(self, file: NightFile) -> Job | None:
        """Return the job that carries a file out, None where the ledger has none."""
        return self.jobs.get(file.job_id or "")

    def why(self, file: NightFile) -> list[str]:
        """Return the reason for the state of a file, and what to do about it.

        Of one that its job holds up it is the job's, as that stands by now: it may have been confirmed, not approved.
        """
        job = self.job_of(file)
        if job is not None and (file.state is FileState.HELD or not (file.reason or job.state.ended)):
            return [said for said in (reason_of(job), next_step(job)) if said]
        return [file.reason] if file.reason else []

    @property
    def to_look_at(self) -> list[NightFile]:
        """The files that somebody has to look at, by name."""
        return [file for file in self.night.entries if self._needs_look(file)]

    @property
    def well(self) -> list[NightFile]:
        """The other files, by name."""
        return [file for file in self.night.entries if not self._needs_look(file)]

    def groups(self) -> list[FileGroup]:
        """Return the files that nobody has to look at, summed up by state."""
        well = self.well
        found = []
        for state in FileState:
            files = [file for file in well if file.state is state]
            jobs = [self.jobs[file.job_id] for file in files if file.own and file.job_id in self.jobs]
            if files:
                found.append(FileGroup(state, len(files), _summed(job.counts for job in jobs)))
        return found

    def _needs_look(self, file: NightFile) -> bool:
        """Return whether a file was not applied, its job waits for somebody, or rows of it were not."""
        job = self.job_of(file)
        if file.state in NOT_APPLIED or job is None:
            return file.state in NOT_APPLIED
        stuck = job.state in WAITING_FOR_USER or job.state is JobState.LOST
        return stuck or (file.own and _has_bad_rows(job))

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
        return any(map(_has_bad_rows, own))


async def read_run(ledger: Ledger, night: Night) -> NightlyRun:
    """Return a run with its jobs."""
    ids = list({file.job_id for file in night.entries if file.job_id})
    jobs = zip(ids, await ledger.jobs.read(ids), strict=True)
    return NightlyRun(night, {job_id: job for job_id, job in jobs if job is not None})


def run_facts(run: NightlyRun) -> dict[str, Any]:
    """Return a run as JSON takes it."""
    night = run.night
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
        "held": night.held,
        "entries": [_file_facts(run, file) for file in night.entries],
    }


def _has_bad_rows(job: Job) -> bool:
    return bool(job.counts.failed or job.counts.rejected or job.counts.drifted)


def _summed(counts: Iterable[Counts]) -> Counts:
    each = list(counts)
    return Counts(**{name: sum(getattr(one, name) for one in each) for name in Counts.__struct_fields__})


def _file_facts(run: NightlyRun, file: NightFile) -> dict[str, Any]:
    job = run.job_of(file)
    counts = None if job is None else job.counts
    return {
        "name": file.name,
        "state": str(file.state),
        "reason": "; ".join(said.rstrip(".") for said in run.why(file)) or None,
        "place": file.place,
        "job_id": file.job_id,
        "own": file.own,
        "job_state": None if job is None else str(job.state),
        "rows": None if counts is None else {name: getattr(counts, name) for name in counts.__struct_fields__},
    }
