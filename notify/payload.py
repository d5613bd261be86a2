"""Makes the body of a notification: facts, and one line of text for Slack; no completion id and no metadata."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from config.text import REASON_CHARS, printable
from ledger.clock import utc_time
from ledger.job import Counts, Job, JobState
from ledger.row import OUTCOMES
from notify.events import JobEvent
from notify.outbox import Facts, HeldFile, NightFacts, Notice, RejectedFile

_ID = re.compile(r"(/chat/completions/)[^\s)\"'?]+|\bchatcmpl-[^\s)\"'?]+")
"""Ids that a server may quote in its message, as OpenAI does for a URL that it does not know."""
SHOWN_NAME_CHARS = 120
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def notice_of(event: JobEvent, now: float) -> Notice:
    """Return the notification of an event; the same event always has the same delivery id."""
    job = event.job
    digest = hashlib.blake2b(f"{job.spec.job_id} {event.event_id}".encode(), digest_size=4).hexdigest()
    delivery_id = f"{job.spec.job_id}-{_state_name(job.state)}-{digest}"
    facts = Facts(
        timestamp=utc_time(now),
        job_id=job.spec.job_id,
        name=job.spec.name,
        kind=job.spec.kind,
        parent=job.spec.parent,
        mode=job.spec.mode,
        state=job.state,
        reason=_reason(job),
        reason_code="state_lost" if job.state is JobState.LOST else job.reason_code,
        rows=job.counts,
        submitted_at=utc_time(job.submitted_at),
        finished_at=None if job.finished_at is None else utc_time(job.finished_at),
    )
    return Notice(delivery_id, job.spec.job_id, facts, now)


def body_of(notice: Notice) -> bytes:
    """Return the JSON body that is sent, the same at every try."""
    if notice.night is not None:
        return _body_of_night(notice.delivery_id, notice.night)
    facts = notice.facts
    if facts is None:
        raise AssertionError("a notification is about a job or a nightly run")
    first = {"type": f"job.{_state_name(facts.state)}", "timestamp": facts.timestamp, "delivery_id": notice.delivery_id}
    return msgspec.json.encode(first | msgspec.structs.asdict(facts) | {"text": _text(facts).translate(_SLACK)})


def night_notice(facts: NightFacts, now: float) -> Notice:
    """Return the notification of a nightly run; the same files with the same fates have the same delivery id."""
    named: list[HeldFile | RejectedFile] = [*facts.held, *facts.rejected_files]
    files = " ".join(sorted(f"{file.name} {file.job_id}" for file in named))
    numbers = f"{facts.files} {facts.jobs} {facts.rejected} {facts.held_files}"
    digest = hashlib.blake2b(f"{numbers} {files}".encode(), digest_size=4).hexdigest()
    word = "needs-attention" if facts.held_files else "finished"
    return Notice(f"nightly-{facts.date}-{word}-{digest}", "", None, now, night=facts)


def _body_of_night(delivery_id: str, facts: NightFacts) -> bytes:
    kind = "nightly.needs_attention" if facts.held_files else "nightly.finished"
    first = {"type": kind, "timestamp": facts.timestamp, "delivery_id": delivery_id}
    text = f"{_text_of_end(facts)}{_listed('held', facts.held, facts.held_files)}"
    text += _listed("rejected", facts.rejected_files, facts.rejected)
    return msgspec.json.encode(first | msgspec.structs.asdict(facts) | {"text": text.translate(_SLACK)})


def _text_of_end(facts: NightFacts) -> str:
    rows = f" Rows: {_reported(facts.rows)}." if facts.rows and facts.rows.total else ""
    if facts.rows and (facts.rows.failed or facts.rows.rejected or facts.rows.drifted):
        rows += " `relabel nightly status` lists the jobs."
    if facts.held_files:
        files = "1 file waits" if facts.held_files == 1 else f"{facts.held_files:,} files wait"
        return f"relabel: the nightly run of {facts.date} needs attention: {files} for your yes.{rows}"
    numbers = f"{_files(facts.files)} taken, {facts.jobs:,} submitted, {facts.rejected:,} rejected"
    return f"relabel: the nightly run of {facts.date} is finished: {numbers}.{rows}"


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number:,} files"


def _listed(word: str, files: Sequence[HeldFile | RejectedFile], number: int) -> str:
    """Return a sentence for each file, and the number of those that are left out."""
    said = [f" {word.capitalize()}: {printable(file.name, SHOWN_NAME_CHARS)}: {_said(file.reason)}." for file in files]
    more = number - len(files)
    return "".join(said) + (f" {more:,} more {word}, which `relabel nightly status` lists." if more else "")


def _said(reason: str) -> str:
    return printable(reason, REASON_CHARS).rstrip(".")


def _state_name(state: JobState) -> str:
    return "lost" if state is JobState.LOST else str(state)


def _reason(job: Job) -> str:
    if job.state_reason:
        return _ID.sub(r"\1[id]", job.state_reason)
    return f"it was {job.state}" if job.state is JobState.CANCELLED else "all of its rows have ended"


def _text(facts: Facts) -> str:
    job_id, rows = printable(facts.job_id, SHOWN_NAME_CHARS), facts.rows
    name, reason = printable(facts.name, SHOWN_NAME_CHARS), printable(facts.reason or "", REASON_CHARS)
    text = f"relabel: job {name} ({job_id}) is {facts.state}: {_reported(rows)}."
    if facts.state is JobState.PAUSED:
        text += f" It paused by itself: {reason}. `relabel status {job_id}` shows what to do."
    elif facts.state is JobState.HELD:
        text += f" It waits for somebody: {reason}. `relabel status {job_id}` shows what to do."
    elif facts.state is JobState.LOST:
        text += f" {reason.rstrip('.')}."
    elif facts.state is JobState.CANCELLED:
        text += f" Cancelled: {reason.rstrip('.')}."
    elif rows.failed or rows.rejected or rows.drifted:
        text += f" `relabel report {job_id} --summary` shows why."
    if facts.state is JobState.FINISHED and rows.would_change:
        text += f" Nothing was changed; `relabel report {job_id} --diff` shows what would be."
    return text


def _reported(counts: Counts) -> str:
    numbers = {word: getattr(counts, word) for word in (*OUTCOMES, "pending")}
    parts = ", ".join(f"{number:,} {word.replace('_', ' ')}" for word, number in numbers.items() if number)
    return f"{parts} of {counts.total:,} rows" if parts else "no rows"
