"""Reads a job from its keys, for those who read one and for those who read all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.approval import approval_of
from ledger.job import Canary, Counts, Job, JobState, Traffic
from ledger.job_spec import JobSpec
from ledger.keys import JobKeys
from ledger.list_reads import selection_of
from ledger.progress import progress_at, rows_per_s, standstill, waits
from ledger.row import OUTCOMES
from ledger.snapshot import as_hash
from ledger.tombstone import lost_job

JOB_READS = 6
"""The number of reads of a job."""
CHANGE_READS = 2
"""The number of reads of a job that is known."""
COUNTED = tuple(name for name in Counts.__struct_fields__ if name != "pending")
"""The rows that the ledger counts; those that are pending are the rest."""
_DRIFTED = b"drifted:"


def job_reads(job_id: str) -> list[tuple[str, str]]:
    """Return what `ledger.snapshot.read_together` reads of a job for `job_of`."""
    keys = JobKeys(job_id)
    hashes = [(key, "HGETALL") for key in (keys.job, keys.counts, keys.pace)]
    return [*hashes, (keys.outcomes, "EXISTS"), (keys.reader, "EXISTS"), (keys.tombstone, "GET")]


def job_of(answers: Sequence[Any], now: float) -> Job | None:
    """Return the job in the answers to `job_reads`, given at `now`, lost ones included; None where there is none."""
    *hashes, has_outcomes, has_reader, tombstone = answers
    fields, counts, pace = map(as_hash, hashes)
    if b"spec" not in fields:
        return lost_job(tombstone)
    spec = msgspec.json.decode(fields[b"spec"], type=JobSpec)
    numbers = {name.decode(): int(value) for name, value in counts.items()}
    is_lost = spec.rows > 0 and not (has_outcomes and counts)
    state = JobState.LOST if is_lost else JobState(fields[b"state"].decode())
    return Job(
        spec=spec,
        state=state,
        reason=_text(fields, b"reason"),
        reason_code=_text(fields, b"reason_code"),
        rate_per_minute=_number(fields, b"rate_per_minute"),
        submitted_at=float(fields[b"submitted_at"]),
        finished_at=_number(fields, b"finished_at"),
        counts=_counts(numbers),
        traffic=Traffic(**{name: numbers.get(name, 0) for name in Traffic.__struct_fields__}),
        rows_per_s=rows_per_s(pace, now),
        waits=waits(pace, now),
        may_have_been_written=int(fields.get(b"may_have_been_written", 0)),
        paused_at=_number(fields, b"paused_at") if state is JobState.PAUSED else None,
        held_at=_number(fields, b"held_at") if state is JobState.HELD else None,
        approval=approval_of(fields),
        progress_at=progress_at(fields, pace),
        canary=Canary(fields[b"canary"].decode()) if b"canary" in fields else None,
        standstill=standstill(pace, progress_at(fields, pace), now) if state is JobState.RUNNING else None,
        digest=_text(fields, b"digest"),
        selection=selection_of(fields, has_reader=bool(has_reader), now=now),
        drifted_by=_drifted_by(fields),
    )


def change_reads(job_id: str) -> list[tuple[str, str]]:
    """Return what is read of a job that is known, for `changed_job`: a few numbers in place of all that it is."""
    keys = JobKeys(job_id)
    return [(keys.job, "HGET state"), (keys.counts, f"HMGET {' '.join(COUNTED)}")]


def changed_job(job: Job, answers: Sequence[Any]) -> Job | None:
    """Return the job as it stands by the answers to `change_reads`; None where it is not there any more."""
    state, counts = answers
    if state is None:
        return None
    numbers = {name: int(value) for name, value in zip(COUNTED, counts, strict=True) if value is not None}
    return msgspec.structs.replace(
        job, state=JobState(state.decode()), counts=_counts(numbers) if numbers else job.counts
    )


def _counts(numbers: dict[str, int]) -> Counts:
    known = {name: numbers.get(name, 0) for name in COUNTED}
    return Counts(pending=known["total"] - sum(known[word] for word in OUTCOMES), **known)


def _drifted_by(fields: dict[bytes, bytes]) -> dict[str, int]:
    found = {name[len(_DRIFTED) :].decode(): int(rows) for name, rows in fields.items() if name.startswith(_DRIFTED)}
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _text(fields: dict[bytes, bytes], name: bytes) -> str | None:
    return fields[name].decode() if name in fields else None


def _number(fields: dict[bytes, bytes], name: bytes) -> float | None:
    return float(fields[name]) if name in fields else None
