"""Creates a job of a checked file: stored first, then opened to the workers, then announced."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from config.canary import CanaryShare
from config.settings import Settings
from ledger.approval import NO_APPROVAL, ApprovalRule
from ledger.errors import JobIdTaken
from ledger.job_id import new_job_id
from ledger.job_spec import KEPT_KEYS, JobSpec, Kind, Mode, Priority, job_name
from ledger.ledger import Ledger
from ledger.row_index import ENTRY_BYTES, IndexBuilder
from producer.checked import Checked
from producer.source import InputLimits

STORE_TOGETHER = 16
"""Shards that travel to the ledger in one round trip."""
TRIED_IDS = 10
"""Ids that are tried for a new job: with 32 random bits a second, one that is taken is rare, two are a fault."""

REJECTIONS_TOGETHER = 500
"""Rejected rows that are stored, and read, as one; each may be a megabyte."""

T = TypeVar("T")
Announce = Callable[[str, Iterable[int]], None]
"""Sends the messages that ask workers for these shards of the job."""


class JobRequest(NamedTuple):
    """The options of a job beside its rows. `again` submits the same content once more; `hold` waits for `resume`.

    `questions` are those that its file raises, in words: where there are some, the job is held for this reason.

    `parent` is the job that the rows were made of, where they are taken back or tried again. `by` is who asks, for the
    audit log, and `remark` what else it is to tell. `nightly` is the date of the run that asks. `indexed` keeps by
    which completion its rows are found (`ledger.row_index`). `canary` is the share of the rows that is carried out
    first and read back. `exact` as in `ledger.job_spec.JobSpec`. `identity` is by what a job counts as submitted
    before, in place of its rows. `approval` is when somebody other than `by` has to approve the job. `job_id` is an id
    that was kept for the job, '' for any.
    """

    name: str
    mode: Mode
    journal: bool
    target: str
    shard_rows: int
    keep_s: float
    rate_per_minute: float | None = None
    hold: bool = False
    questions: str = ""
    again: bool = False
    kind: Kind = Kind.FILE
    parent: str | None = None
    max_failures: str | None = None
    priority: Priority = Priority.NORMAL
    by: str = ""
    remark: str = ""
    nightly: str = ""
    indexed: bool = True
    canary: CanaryShare | None = None
    exact: bool = False
    identity: str = ""
    approval: ApprovalRule = NO_APPROVAL
    job_id: str = ""


class Submitted(NamedTuple):
    """The job, and whether it had been there before with the same content, target and options.

    `former` is a job of the same content that did not count, for which this one was made (`counts_as_submitted`).
    """

    job_id: str
    existed: bool
    former: str | None = None


async def submit(
    checked: Checked, request: JobRequest, *, ledger: Ledger, announce: Announce, new_id: Callable[[], str] = new_job_id
) -> Submitted:
    """Store the job and open it; workers see either all of it or nothing.

    Raises:
        JobIdTaken: the id that was kept for it is another job's.
        RedisError: the ledger is away or full. The job stays `submitting`; the same call again replaces it.

    """
    if not request.again and (holder := await find_existing(checked, request, ledger=ledger)):
        return Submitted(holder, existed=True)
    spec = await _create(checked, request, ledger, new_id)
    former = None
    if request.again:
        await ledger.fingerprints.take(spec.fingerprint, spec.job_id, request.keep_s)
    else:
        holder, former = await ledger.fingerprints.claim(spec.fingerprint, spec.job_id, request.keep_s)
        if holder != spec.job_id:
            await ledger.jobs.discard(spec.job_id)
            return Submitted(holder, existed=True)
    await store_rows(checked, spec, ledger, index=IndexBuilder(spec.rows) if request.indexed else None)
    await ledger.job_store.open(
        spec.job_id,
        hold=request.hold,
        questions=request.questions,
        by=request.by,
        remark=_remark(request, former),
        approval=request.approval,
    )
    announce(spec.job_id, await ledger.shards.to_announce(spec.job_id))
    return Submitted(spec.job_id, existed=False, former=former)


def _remark(request: JobRequest, former: str | None) -> str:
    return ", ".join(filter(None, (request.remark, f"instead of job {former}" if former else "")))


async def find_existing(checked: Checked, request: JobRequest, *, ledger: Ledger) -> str | None:
    """Return the id of the job that `submit` would find, None where it would create one."""
    return await ledger.fingerprints.holder(_fingerprint(checked, request))


def _fingerprint(checked: Checked, request: JobRequest) -> str:
    content = request.identity or checked.fingerprint
    asked = f"{content} {request.target} {request.mode} {request.journal} {request.kind} {request.parent or ''}"
    return hashlib.sha256(asked.encode()).hexdigest()


async def _create(checked: Checked, request: JobRequest, ledger: Ledger, new_id: Callable[[], str]) -> JobSpec:
    """Write the job under an id of its own: only then may anything else name it."""
    if request.job_id:
        spec = _spec(checked, request, request.job_id)
        await ledger.fingerprints.still_storing(spec.job_id)  # whoever knows the id may look for it already
        await ledger.job_store.create(spec, rate_per_minute=request.rate_per_minute)
        return spec
    for _ in range(TRIED_IDS):
        spec = _spec(checked, request, new_id())
        with contextlib.suppress(JobIdTaken):
            await ledger.job_store.create(spec, rate_per_minute=request.rate_per_minute)
            return spec
    raise JobIdTaken(spec.job_id)


def _spec(checked: Checked, request: JobRequest, job_id: str) -> JobSpec:
    keys = sorted(key.key for key in checked.profile.keys)
    if request.canary and not request.journal:
        raise ValueError("a canary needs before-images: by these a row is known that was written and not read back")
    canary = request.canary.rows_of(checked.total) if request.canary else 0
    return JobSpec(
        job_id=job_id,
        name=job_name(request.name),
        mode=request.mode,
        journal=request.journal,
        target=request.target,
        columns=checked.columns,
        rows=checked.total,
        shards=-(-canary // request.shard_rows) - (-(checked.total - canary) // request.shard_rows),
        shard_rows=request.shard_rows,
        rejected=checked.rejected,
        folded=checked.folded,
        unchanged=checked.unchanged,
        fingerprint=_fingerprint(checked, request),
        keep_s=request.keep_s,
        kind=request.kind,
        parent=request.parent,
        max_failures=request.max_failures,
        priority=request.priority,
        by=request.by,
        nightly=request.nightly,
        keys=keys[:KEPT_KEYS],
        more_keys=len(keys) > KEPT_KEYS,
        canary=canary,
        oldest_first=checked.oldest_first,
        exact=request.exact,
    )


async def store_rows(checked: Checked, spec: JobSpec, ledger: Ledger, *, index: IndexBuilder | None = None) -> None:
    """Store the rows of a job that workers do not see yet."""
    first = 0
    for shards in _groups(checked.shards(spec.shard_rows, canary=spec.canary), STORE_TOGETHER):
        await ledger.fingerprints.still_storing(spec.job_id)
        await ledger.job_store.store_shards(spec.job_id, first, [shard.body for shard in shards])
        first += len(shards)
        if index is not None:
            for shard in shards:
                index.add(shard.body)
    together = min(spec.shard_rows, REJECTIONS_TOGETHER)
    for group in _groups(checked.rejections(), together):
        await ledger.fingerprints.still_storing(spec.job_id)
        await ledger.job_store.store_rejections(spec.job_id, group)
    for unsent in _groups(checked.unsent(), together):
        await ledger.fingerprints.still_storing(spec.job_id)
        await ledger.job_store.store_unsent(spec.job_id, unsent)
    if index is not None and spec.rows:
        await _store_index(index, spec, ledger)


async def _store_index(index: IndexBuilder, spec: JobSpec, ledger: Ledger) -> None:
    at = 0
    for part in index.parts():
        await ledger.fingerprints.still_storing(spec.job_id)
        await ledger.row_indexes.store(spec.job_id, at, part, size=spec.rows * ENTRY_BYTES)
        at += len(part)


def _groups(things: Iterable[T], most: int) -> Iterator[list[T]]:
    # itertools.batched is not there before Python 3.12
    iterator = iter(things)
    while group := list(islice(iterator, most)):
        yield group


DAY_S = 86_400.0


def request_for(settings: Settings, name: str, *, by: str, mode: Mode, journal: bool = True) -> JobRequest:
    """Return a request with the target, the shard size and the retention of the settings."""
    return JobRequest(
        name=name,
        mode=mode,
        journal=journal,
        target=settings.openai_base_url,
        shard_rows=settings.job.shard_rows,
        keep_s=settings.job.keep_days * DAY_S,
        by=by,
        indexed=settings.job.index,
        approval=ApprovalRule(settings.approval.above_rows),
    )


def limits_of(settings: Settings) -> InputLimits:
    """Return how large an input may be."""
    return InputLimits(settings.input.max_rows, int(settings.input.max_gib * (1 << 30)))
