"""What a plan found: which values would change to which in how many rows, some of the rows, and the digest of all."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any, NamedTuple

from ledger.errors import StateLost
from ledger.input_files import place_of
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from ledger.ledger import Ledger
from ledger.patching import Change, diff
from ledger.plan_counts import PlanCounts, ValueChange
from ledger.row import Outcome
from ledger.row_reader import ReportedRow, first_rows
from report.plan_totals import complete_digest

SHOWN_OF_KEY = 20
"""Changes of a key that are listed: those of the most rows."""
SAMPLES = 3
"""Rows that are shown as examples."""


class PlannedChange(NamedTuple):
    """A change of one key, and the number of rows that it would happen in; None where the key is absent."""

    key: str
    before: str | None
    after: str | None
    rows: int


class PlanFindings(NamedTuple):
    """What a plan found in the shards that are done.

    `changes` are by key, of each those of the most rows; `others` the rows of all others, by key: '' stands for keys
    that are too many. `samples` are the first rows that would change. `digest` is None before the plan has finished.
    """

    changes: list[PlannedChange]
    others: dict[str, int]
    samples: list[ReportedRow]
    digest: str | None


async def plan_findings(ledger: Ledger, job: Job) -> PlanFindings | None:
    """Return what a plan found; None for a job of another kind, or of which rows are gone.

    What it costs does not depend on the plan's size, but where a worker was killed before it counted its shard.
    """
    spec = job.spec
    if spec.kind is not Kind.PLAN or job.state is JobState.LOST:
        return None
    digest = job.digest
    with contextlib.suppress(StateLost):
        if job.state is JobState.FINISHED and digest is None:
            digest = await complete_digest(ledger, spec)
        samples = await first_rows(ledger.redis, spec, Outcome.WOULD_CHANGE, SAMPLES) if job.counts.would_change else []
        return PlanFindings(*_listed(await ledger.plans.read(spec.job_id)), samples, digest)
    return None


def sample_changes(job: Job, row: ReportedRow) -> dict[str, Change]:
    """Return what a row would change."""
    return diff(row.before or {}, row.patch.metadata, job.spec.mode)


def plan_facts(job: Job, found: PlanFindings) -> dict[str, Any]:
    """Return what a plan found as JSON takes it; null stands for a key that is absent."""
    return {
        "digest": found.digest,
        "changes": [change._asdict() for change in found.changes],
        "changes_other": found.others,
        "samples": [_sample_facts(job, row) for row in found.samples],
    }


def _listed(counts: PlanCounts) -> tuple[list[PlannedChange], dict[str, int]]:
    others, listed = Counter(counts.others), list[PlannedChange]()
    of_key: dict[str, list[tuple[ValueChange, int]]] = {}
    for change, rows in counts.changes.items():
        of_key.setdefault(change.key, []).append((change, rows))
    for key, changes in sorted(of_key.items()):
        changes.sort(key=lambda each: (-each[1], each[0].before or "", each[0].after or ""))
        listed += [PlannedChange(*change, rows) for change, rows in changes[:SHOWN_OF_KEY]]
        others[key] += sum(rows for _, rows in changes[SHOWN_OF_KEY:])
    return listed, {key: rows for key, rows in sorted(others.items()) if rows}


def _sample_facts(job: Job, row: ReportedRow) -> dict[str, Any]:
    place, changed = place_of(row.patch.line, job.spec.files), sample_changes(job, row)
    where = {"file": place.file, "line": place.line} if place.file else {"line": place.line}
    return {
        **where,
        "id": row.patch.completion_id,
        "before": {key: change.before for key, change in changed.items()},
        "after": {key: change.after for key, change in changed.items()},
    }
