"""Creates a job of a selection, and gives it its rows once they are read: stored apart first, all of them or none."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence

from msgspec.structs import replace

from ledger.audit import audit_entry
from ledger.connect import AWAY
from ledger.job_id import new_job_id
from ledger.job_spec import KEPT_KEYS, Columns, JobSpec, job_name
from ledger.ledger import Ledger
from ledger.lock import Lock
from producer.checked import Checked
from producer.submit import JobRequest, store_rows

SELECTED_COLUMNS = Columns("jsonl", "completion_id", [])
"""How a report of a job is laid out that no file was made for."""


async def create_selected(
    request: JobRequest, asked: bytes, *, keys: Sequence[str], oldest_first: bool, ledger: Ledger
) -> str:
    """Store a job whose rows workers are to select, as `asked` says in JSON, and return its id.

    Raises:
        JobIdTaken: the id that was kept for it is another job's.

    """
    spec = JobSpec(
        job_id=request.job_id or new_job_id(),
        name=job_name(request.name),
        mode=request.mode,
        journal=request.journal,
        target=request.target,
        columns=SELECTED_COLUMNS,
        rows=0,
        shards=0,
        shard_rows=request.shard_rows,
        rejected=0,
        folded=0,
        fingerprint="",
        keep_s=request.keep_s,
        kind=request.kind,
        max_failures=request.max_failures,
        priority=request.priority,
        by=request.by,
        keys=sorted(keys),
        oldest_first=oldest_first,
    )
    entry = audit_entry(request.by, "submit", spec.name)
    await ledger.job_store.create(spec, rate_per_minute=request.rate_per_minute, selection=asked, entry=entry)
    return spec.job_id


def with_rows(spec: JobSpec, checked: Checked) -> JobSpec:
    """Return what a job is asked for, once its rows are known."""
    keys = sorted(key.key for key in checked.profile.keys)
    return replace(
        spec,
        rows=checked.total,
        shards=-(-checked.total // spec.shard_rows),
        rejected=checked.rejected,
        folded=checked.folded,
        unchanged=checked.unchanged,
        fingerprint=hashlib.sha256(f"{spec.job_id} {checked.fingerprint}".encode()).hexdigest(),
        keys=keys[:KEPT_KEYS],
        more_keys=len(keys) > KEPT_KEYS,
    )


async def give_rows(checked: Checked, spec: JobSpec, lock: Lock, ledger: Ledger) -> JobSpec:
    """Store the rows for the job that `lock` is for, and return what it is asked for with them.

    Raises:
        LeaseLost: another worker reads for the job, or it is paused, cancelled or gone; nothing of it has changed.

    """
    whole = with_rows(spec, checked)
    draft_id = f"{spec.job_id}.{lock.owner}"
    try:
        await store_rows(checked, replace(whole, job_id=draft_id), ledger)
        await ledger.list_reads.adopt(draft_id, whole, lock)
    finally:
        with contextlib.suppress(*AWAY):  # it expires
            await ledger.jobs.discard(draft_id)
    return whole
