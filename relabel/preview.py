"""What a file would do, and what its job would meet: shown before anything is sent, the same at every door.

Sample values are customer data: a preview is for whoever has the file, and is neither stored nor logged.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from config.settings import Settings
from ledger.errors import LedgerUnreachable
from ledger.input_files import InputFile, place_of
from ledger.job_spec import Kind, Mode
from ledger.overview import read_overview
from ledger.row import Rejection
from producer import submit as producer
from producer.checked import Checked, OddIds
from producer.overlap import Overlaps, find_overlaps
from producer.profile import KeyProfile, Profile, Reading
from producer.questions import LARGE_JOB, Question, questions_about
from producer.submit import JobRequest
from relabel.capacity import least_seconds, pace_hint
from relabel.errors import NeedsConfirmation
from relabel.expiry import Expiry, expiry_of
from relabel.findings import place_facts
from relabel.health_jobs import paused_by_api
from relabel.rate import read_rate
from relabel.session import Session, open_session
from relabel.wording import count_of, duration, per_minute
from relabel.worker_state import read_idle

ASK_ABOVE = 10_000
"""Completions that are changed without a question."""
SHOWN_REJECTIONS = 5
NO_OVERLAPS = Overlaps([], [])


class Outlook(NamedTuple):
    """What a job would meet, and what it takes at most.

    `rate_per_minute` is the lower of its own rate and the shared one in force; `hint` says where one worker cannot use
    it, '' where it can or the service was never probed. `warnings` say why the job would wait or be slow. `former` is
    the job that has the same content, so that nothing would be sent. `expiry` counts the completions that may be gone.
    """

    requests: int
    rate_per_minute: float
    seconds: float
    overlaps: Overlaps = NO_OVERLAPS
    hint: str = ""
    warnings: tuple[str, ...] = ()
    former: str | None = None
    expiry: Expiry = Expiry()


class Preview(NamedTuple):
    """What a file would do. `rejections` are the first of the `rejected` rows; `outlook` is None before it is known.

    `in_file_order` tells whether the rows could be taken oldest first instead.
    """

    name: str
    format: str
    reading: Reading
    mode: Mode
    completions: int
    folded: int
    conflicting: int
    cleared: int
    unchanged: int
    rejected: int
    rejections: list[Rejection]
    odd_ids: OddIds
    profile: Profile
    questions: list[Question]
    kind: Kind = Kind.FILE
    files: Sequence[InputFile] = ()
    outlook: Outlook | None = None
    in_file_order: bool = False


def preview_of(checked: Checked, request: JobRequest) -> Preview:
    """Return what the file would do, with the questions that its content raises."""
    return Preview(
        name=request.name,
        format=checked.columns.format,
        reading=checked.reading,
        mode=request.mode,
        completions=checked.total,
        folded=checked.folded,
        conflicting=checked.conflicting,
        cleared=checked.cleared,
        unchanged=checked.unchanged,
        rejected=checked.rejected,
        rejections=list(islice(checked.rejections(), SHOWN_REJECTIONS)),
        odd_ids=checked.odd_ids,
        profile=checked.profile,
        questions=[] if request.parent else questions_about(checked),
        kind=request.kind,
        files=checked.columns.files,
        in_file_order=request.parent is None and not checked.oldest_first,
    )


def with_outlook(preview: Preview, ahead: Outlook) -> Preview:
    """Add what the job would meet, and the question of its size; nothing is to be asked where nothing would be sent."""
    large = preview.completions > ASK_ABOVE
    size = [Question(LARGE_JOB, expected_effort(preview, ahead))] if large else []
    return preview._replace(outlook=ahead, questions=[] if ahead.former else [*preview.questions, *size])


async def look_ahead(session: Session, checked: Checked, request: JobRequest, *, deployed: bool) -> Outlook:
    """Return what the job would meet; `deployed`: workers that run already are to carry it out.

    Raises:
        LedgerUnreachable: the ledger is away.

    """
    ledger, settings, rows = session.ledger, session.settings, checked.total
    seen = await read_rate(settings, ledger)
    # while the API fails, one request a second is a probe, not a pace
    shared = seen.asked_per_minute if seen.slowed_by == "failing" else seen.in_force_per_minute
    ahead = _at_rate(request, checked, shared)
    if not request.again and (former := await producer.find_existing(checked, request, ledger=ledger)):
        return ahead._replace(former=former)
    overview = await read_overview(ledger.redis)
    paused = paused_by_api([each.job for each in overview.jobs], request.target, overview.now)
    warnings = (*([paused] if paused else []), *seen.warnings)
    if deployed and (idle := await read_idle(ledger)):
        warnings = (f"{idle}; the job waits until one takes rows", *warnings)
    ahead = ahead._replace(overlaps=await find_overlaps(checked, request.target, ledger=ledger), warnings=warnings)
    if behaviour := await ledger.behaviours.of(request.target):
        least = least_seconds(settings, behaviour, rows, reads=_reads(request), writes=not request.kind.only_reads)
        hint = pace_hint(settings, behaviour, ahead.rate_per_minute)
        ahead = ahead._replace(seconds=max(ahead.seconds, least), hint=hint)
    return await _with_expiry(ahead, checked)


async def preview_only(settings: Settings, checked: Checked, request: JobRequest, *, deployed: bool) -> Preview:
    """Return the preview of a file that is not to be sent; nothing is stored, and no server is started.

    Where the settings name no Redis server, or it is away, nothing is known of other jobs.
    """
    ahead = await _outlook(settings, checked, request, deployed=deployed)
    return with_outlook(preview_of(checked, request), ahead)


async def _outlook(settings: Settings, checked: Checked, request: JobRequest, *, deployed: bool) -> Outlook:
    warnings: tuple[str, ...] = ()
    if settings.redis.url is not None:
        try:
            async with open_session(settings) as session:
                return await look_ahead(session, checked, request, deployed=deployed)
        except LedgerUnreachable as error:
            warnings = (f"nothing is known of other jobs: {str(error).rstrip('.')}",)
    ahead = _at_rate(request, checked, settings.rate.per_minute)
    return await _with_expiry(ahead._replace(warnings=warnings), checked)


def require_confirmed(questions: list[Question]) -> None:
    """Raise NeedsConfirmation where something is odd and nobody can be asked; size alone is no reason."""
    odd = [question for question in questions if question.code != LARGE_JOB]
    if odd:
        raise NeedsConfirmation(odd)


def preview_facts(preview: Preview) -> dict[str, Any]:
    """Return a preview as JSON takes it."""
    profile = preview.profile
    return {
        "name": preview.name,
        "format": preview.format,
        "delimiter": preview.reading.delimiter or None,
        "ignored_columns": list(preview.reading.ignored),
        "notices": list(preview.reading.notices),
        "mode": str(preview.mode),
        "completions": preview.completions,
        "rows": {
            "valid": profile.rows,
            "rejected": preview.rejected,
            "folded": preview.folded,
            "conflicting": preview.conflicting,
            "unchanged": preview.unchanged,
            "cleared": preview.cleared,
        },
        "files": [file.name for file in preview.files],
        "rejections": [
            {**place_facts(row.line, preview.files), "column": row.column, "reason": row.reason}
            for row in preview.rejections
        ],
        "keys": [_key_facts(key, profile.rows) for key in profile.keys],
        "other_pairs": profile.other_pairs,
        "null_texts": profile.null_texts,
        "odd_ids": _odd_facts(preview),
        "outlook": None if preview.outlook is None else _outlook_facts(preview.outlook),
        "questions": [question._asdict() for question in preview.questions],
    }


def _odd_facts(preview: Preview) -> dict[str, Any]:
    places = [place_of(line, preview.files) for line in preview.odd_ids.lines]
    odd = preview.odd_ids
    facts = {"number": odd.number, "rejected": odd.rejected, "lines": [place.line for place in places]}
    return facts | ({"files": [place.file for place in places]} if preview.files else {})


def _key_facts(key: KeyProfile, rows: int) -> dict[str, Any]:
    return {
        "key": key.key,
        "set": key.set_in,
        "removed": key.removed_in,
        "left_out": rows - key.set_in - key.removed_in,
        "samples": key.samples,
        "index": key.is_index,
    }


def _outlook_facts(ahead: Outlook) -> dict[str, Any]:
    return {
        "former": ahead.former,
        "overlaps": [overlap._asdict() for overlap in ahead.overlaps.found],
        "not_compared": ahead.overlaps.unread,
        "requests": ahead.requests,
        "seconds": round(ahead.seconds, 1),
        "rate_per_minute": ahead.rate_per_minute,
        "hint": ahead.hint or None,
        "expiry": ahead.expiry._asdict(),
        "warnings": list(ahead.warnings),
    }


def expected_effort(preview: Preview, ahead: Outlook) -> str:
    """Return what the job takes at most, in one sentence."""
    what = f"{count_of(preview.completions, 'completion')} will be {'read' if preview.kind.only_reads else 'changed'}"
    if not ahead.requests:
        return f"{what}: no request is needed, as the selection has seen all of them."
    return (
        f"{what}: up to {count_of(ahead.requests, 'request')}, "
        f"about {duration(max(1.0, ahead.seconds))} at {per_minute(ahead.rate_per_minute)}."
    )


def _at_rate(request: JobRequest, checked: Checked, shared_per_minute: float) -> Outlook:
    rate, rows = min(request.rate_per_minute or math.inf, shared_per_minute), checked.total
    requests = rows - checked.seen if request.kind.only_reads else rows * 2 if _reads(request) else rows
    requests += request.canary.rows_of(rows) if request.canary else 0
    return Outlook(requests, rate, requests / rate * 60)


async def _with_expiry(ahead: Outlook, checked: Checked) -> Outlook:
    """Add what may be gone before the job ends; other tasks go on meanwhile, as each id is looked at."""
    expiry = await asyncio.to_thread(expiry_of, checked.completion_ids(), now=time.time(), seconds=ahead.seconds)
    return ahead._replace(expiry=expiry)


def _reads(request: JobRequest) -> bool:
    return request.mode is Mode.MERGE or request.journal
