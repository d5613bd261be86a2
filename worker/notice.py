"""What is said of a job's end: the facts, and one line that Slack shows. No completion id and no metadata is in it."""

from __future__ import annotations

import hashlib
import re

import msgspec

from config.text import REASON_CHARS, printable
from ledger.endings import Ending
from ledger.job import Counts, Job, JobState
from ledger.outbox import Notice
from ledger.utc import utc_time

_OUTCOMES = ("updated", "unchanged", "failed", "rejected", "drifted", "cancelled", "pending")
_LOST_REASON = "Redis lost some or all of the job: it came back empty, or keys were removed"
_ID = re.compile(r"(/chat/completions/)[^\s)\"'?]+|\bchatcmpl-[^\s)\"'?]+")
"""Ids that a server may quote in its words, as OpenAI does of a URL that it does not know."""
SHOWN_NAME_CHARS = 120
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def notice_of(ending: Ending, now: float) -> Notice:
    """Make the notification of an end or a pause; the same end gives the same delivery id."""
    job = ending.job
    state = "lost" if job.state is JobState.LOST else str(job.state)
    digest = hashlib.blake2b(f"{job.spec.job_id} {ending.mark}".encode(), digest_size=4).hexdigest()
    delivery_id = f"{job.spec.job_id}-{state}-{digest}"
    facts = {
        "type": f"job.{state}",
        "timestamp": utc_time(now),
        "delivery_id": delivery_id,
        "job_id": job.spec.job_id,
        "name": job.spec.name,
        "kind": job.spec.kind,
        "parent": job.spec.parent,
        "mode": job.spec.mode,
        "state": job.state,
        "reason": _reason(job),
        "reason_code": "state_lost" if job.state is JobState.LOST else job.reason_code,
        "rows": job.counts,
        "submitted_at": utc_time(job.submitted_at),
        "finished_at": None if job.finished_at is None else utc_time(job.finished_at),
        "text": _text(job).translate(_SLACK),
    }
    return Notice(delivery_id, job.spec.job_id, msgspec.json.encode(facts), now)


def _reason(job: Job) -> str | None:
    if job.state is JobState.LOST:
        return _LOST_REASON
    return None if job.reason is None else printable(_ID.sub(r"\1[id]", job.reason), REASON_CHARS)


def _text(job: Job) -> str:
    job_id = job.spec.job_id
    said = (
        f"relabel: job {printable(job.spec.name, SHOWN_NAME_CHARS)} ({job_id}) is {job.state}: {_counted(job.counts)}."
    )
    if job.state is JobState.PAUSED:
        said += f" It paused by itself: {_reason(job)}. `relabel status {job_id}` tells what to do."
    elif job.state is JobState.LOST:
        said += f" {_LOST_REASON}."
    elif job.counts.failed or job.counts.rejected or job.counts.drifted:
        said += f" `relabel report {job_id} --summary` tells why."
    return said


def _counted(counts: Counts) -> str:
    numbers = {word: getattr(counts, word) for word in _OUTCOMES}
    told = ", ".join(f"{number:,} {word}" for word, number in numbers.items() if number)
    return f"{told} of {counts.total:,} rows" if told else "no rows"
