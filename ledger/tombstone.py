"""What was known of a job when Redis lost it, kept in its place so that it is shown as lost and not as never there."""

from __future__ import annotations

import msgspec

from ledger.clock import utc_time
from ledger.job import STATE_LOST_CODE, Counts, Job, JobState, Traffic
from ledger.job_spec import Columns, JobSpec
from ledger.progress import Waits


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """A lost job: how it stood when it was last seen, when its loss was found (`since`), and by whom.

    Times are seconds since the epoch by the server's clock.
    """

    spec: JobSpec
    state: JobState
    counts: Counts
    submitted_at: float
    since: float
    seen_by: str

    @property
    def job(self) -> Job:
        """The job as readers get it."""
        found = f"{self.seen_by} found this at {utc_time(self.since)}" if self.seen_by else utc_time(self.since)
        return Job(
            spec=self.spec,
            state=JobState.LOST,
            reason=f"Redis lost the job, which was {self.state}: it came back empty, or keys were removed ({found})",
            reason_code=STATE_LOST_CODE,
            rate_per_minute=None,
            submitted_at=self.submitted_at,
            finished_at=None,
            counts=self.counts,
            traffic=Traffic(),
            rows_per_s=0.0,
            waits=Waits(),
        )


_decode = msgspec.json.Decoder(Tombstone).decode


def tombstone_of(job: Job, *, since: float, seen_by: str) -> Tombstone:
    """Return what is kept of a job that is lost; the columns of its file are of no use any more."""
    columns = Columns(job.spec.columns.format, job.spec.columns.id_column, [])
    return Tombstone(
        spec=msgspec.structs.replace(job.spec, columns=columns),
        state=job.state,
        counts=job.counts,
        submitted_at=job.submitted_at,
        since=since,
        seen_by=seen_by,
    )


def lost_job(packed: bytes | None) -> Job | None:
    """Return the job of a tombstone as it is stored; None where there is none, or none that can be read."""
    try:
        return None if packed is None else _decode(packed).job
    except msgspec.MsgspecError:
        return None
