"""Judges a job by what the API's stand-in saw and holds, not by what the job says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ledger.job import Job, JobState
from ledger.ledger import Ledger
from ledger.row import Metadata, Outcome
from ledger.row_reader import ReportedRow, read_rows
from sandbox import Sandbox
from sandbox.log import Entry
from sandbox.script import APPLIED, FaultKind
from tests.harness.rows import PatchRows


class Cost(NamedTuple):
    """Requests that were sent, the least there could be, and those that the API's own faults made necessary."""

    sent: int
    least: int
    forced: int

    @property
    def extra(self) -> float:
        """Share of requests beyond the least that nothing but kills and restarts account for."""
        return (self.sent - self.least - self.forced) / self.least


async def check_exact(
    ledger: Ledger,
    sandbox: Sandbox,
    rows: PatchRows,
    job_id: str,
    *,
    failed: Mapping[str, str] | None = None,
    overlaps: bool = False,
) -> Job:
    """Check that the job ended with every row counted once, done as asked, and its before-image kept.

    `failed` maps the ids that must have failed to their codes: no other row may have. `overlaps` allows a second
    request for an id while the server still has the first, as where a client gave up waiting.
    """
    job = await ledger.jobs.get(job_id)
    assert job.state is JobState.FINISHED, (job.state, job.reason)
    reported = {row.patch.completion_id: row async for row in read_rows(ledger.redis, job.spec)}
    assert reported.keys() == rows.patches.keys()
    _check_counts(job, reported)
    wrong = {row.patch.completion_id: row.detail for row in reported.values() if row.outcome is Outcome.FAILED}
    codes = {completion_id: detail and detail.code for completion_id, detail in wrong.items()}
    assert codes == dict(failed or {}), wrong
    held = sandbox.store.dump()
    for completion_id, row in reported.items():
        _check_row(rows, completion_id, row, held=held.get(completion_id))
    if not overlaps:
        assert sandbox.log.stats.overlaps == 0
    return job


def cost_of(sandbox: Sandbox, rows: PatchRows) -> Cost:
    """Count the requests of a job whose rows were asked for by nobody else."""
    return Cost(len(sandbox.log.entries), rows.least_requests, sum(map(_forced_by, sandbox.log.entries)))


def _check_counts(job: Job, reported: Mapping[str, ReportedRow]) -> None:
    counts = job.counts
    counters = Counter(row.outcome.word for row in reported.values())
    told = {word: getattr(counts, word) for word in ("updated", "unchanged", "failed", "drifted", "cancelled")}
    assert told == {word: counters[word] for word in told}
    assert counts.pending == 0
    assert sum(told.values()) + counts.rejected == counts.total == len(reported) + counts.rejected


def _check_row(rows: PatchRows, completion_id: str, row: ReportedRow, *, held: Metadata | None) -> None:
    before, after = rows.before[completion_id], rows.after(completion_id)
    if row.outcome is not Outcome.FAILED:
        assert held == after
        assert (row.outcome is Outcome.UPDATED) == rows.needs_change(completion_id), (row.outcome, row.detail)
    if held not in (None, before) or row.before is not None:
        assert row.before == before


def _forced_by(entry: Entry) -> int:
    """Requests that a fault makes necessary: the same again, and a look before it where a write may have happened."""
    if entry.fault is None:
        return int(entry.status == 429)
    kind = FaultKind(entry.fault)
    if kind in {FaultKind.SLOW, FaultKind.SLOW_AFTER} and entry.status == 200:
        return 0
    if entry.method == "GET" or kind in APPLIED or kind in {FaultKind.RATE_LIMITED, FaultKind.QUOTA}:
        return 1
    return 2
