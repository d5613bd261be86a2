"""A job as JSON: the fields that other programs rely on, the same at every door."""

from __future__ import annotations

from typing import Any

import msgspec

from ledger.clock import utc_time
from ledger.job import STATE_LOST_CODE, Job, JobState
from ledger.list_reads import JobSelection
from ledger.person import name_of
from relabel.explain import reason_of


def job_facts(job: Job) -> dict[str, Any]:
    """Return a job as JSON takes it; `rate_per_minute` is null where only the shared rate counts."""
    spec, counts = job.spec, job.counts
    lost, stands_still = job.state is JobState.LOST, job.standstill
    approval = job.approval
    error = stands_still.last_error if stands_still else None
    return {
        "job_id": spec.job_id,
        "state": str(job.state),
        "reason": reason_of(job),
        "reason_code": STATE_LOST_CODE if lost else job.reason_code,
        "name": spec.name,
        "kind": str(spec.kind),
        "parent": spec.parent,
        "digest": job.digest,
        "canary": {"rows": spec.canary, "state": str(job.canary)} if job.canary else None,
        "by": name_of(spec.by) or None,
        "keys": spec.keys,
        "more_keys": spec.more_keys,
        "priority": job.spec.priority,
        "mode": str(spec.mode),
        "oldest_first": spec.oldest_first,
        "shard_rows": spec.shard_rows,
        "target": spec.target,
        "rows": {name: getattr(counts, name) for name in counts.__struct_fields__},
        "may_have_been_written": job.may_have_been_written,
        "requests": {
            "sent": job.traffic.requests,
            "retries": job.traffic.retries,
            "throttled": job.traffic.throttled,
        },
        "waits": job.waits._asdict(),
        "rows_per_s": round(job.rows_per_s, 3),
        "rate_per_minute": job.rate_per_minute,
        "eta_s": None if job.eta_s is None else round(job.eta_s, 1),
        "no_row_ended_since": utc_time(stands_still.since) if stands_still else None,
        "last_error": msgspec.to_builtins(error) if error else None,
        "approval_digest": approval.digest if approval else None,
        "approved_by": approval.approved_by if approval else None,
        "approved_at": utc_time(approval.approved_at) if approval and approval.approved_at else None,
        "held_at": None if job.held_at is None else utc_time(job.held_at),
        "selection": selection_facts(job.selection) if job.selection else None,
        "submitted_at": utc_time(job.submitted_at),
        "finished_at": None if job.finished_at is None else utc_time(job.finished_at),
    }


def selection_facts(selection: JobSelection) -> dict[str, Any]:
    """Return what workers select for a job, and how far that is, as JSON takes it."""
    found: dict[str, Any] = msgspec.to_builtins(selection.found)
    return {"asked": selection.asked, "is_read": selection.is_read} | found
