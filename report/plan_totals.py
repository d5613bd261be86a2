"""Counts the closed shards of a plan: the digest of each, and what its rows would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ledger.job_spec import JobSpec, Mode
from ledger.ledger import Ledger
from ledger.patching import diff
from ledger.plan_counts import PlanCounts, ValueChange
from ledger.row import Outcome
from ledger.row_reader import ReportedRow, read_shard
from report.digest import job_digest, shard_digest


async def count_shard(ledger: Ledger, spec: JobSpec, number: int) -> None:
    """Store the digest of a closed shard and what it would change; safe to repeat.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    rows = await read_shard(ledger.redis, spec, number)
    await ledger.plans.add(spec.job_id, number, shard_digest(rows, spec.mode), _changes(rows, spec.mode))


async def complete_digest(ledger: Ledger, spec: JobSpec) -> str:
    """Return the digest of a plan that has finished, and keep it with the job.

    Shards that nobody counted, as a worker was killed or gave them up, are counted here.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    known = await ledger.plans.digests(spec)
    for number in [number for number, digest in enumerate(known) if digest is None]:
        await count_shard(ledger, spec, number)
    digest = job_digest(spec.target, spec.mode, filter(None, await ledger.plans.digests(spec)))
    await ledger.plans.set_digest(spec.job_id, digest)
    return digest


class Recount:
    """Counts the rows of a plan once more, to see whether what is shown of it is what they would change.

    It keeps the changes that the plan counted each, and the sum of all others, so that its memory stays bounded.
    """

    def __init__(self, shown: PlanCounts) -> None:
        self._shown = shown
        self._each = Counter[ValueChange]()
        self._others = 0

    def add(self, rows: Iterable[ReportedRow], mode: Mode) -> None:
        """Count the rows of a shard."""
        for change, number in _changes(rows, mode).items():
            if change in self._shown.changes:
                self._each[change] += number
            else:
                self._others += number

    @property
    def agrees(self) -> bool:
        """Whether all rows were counted as they are shown."""
        return self._each == self._shown.changes and self._others == self._shown.others.total()


def _changes(rows: Iterable[ReportedRow], mode: Mode) -> Counter[ValueChange]:
    counted = Counter[ValueChange]()
    for row in rows:
        if row.outcome is Outcome.WOULD_CHANGE and row.before is not None:
            changed = diff(row.before, row.patch.metadata, mode)
            counted.update(ValueChange(key, *change) for key, change in changed.items())
    return counted
