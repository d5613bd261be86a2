"""Prepares the jobs that are made of another job's rows: an undo and a retry, and what all such jobs share."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from config.text import printable
from ledger.errors import StateLost
from ledger.job import Job, JobState, remedy_of, rows_lost
from ledger.job_spec import Columns, JobSpec, Kind, Mode
from ledger.row import Patch
from producer.check import check_made
from producer.checked import Checked
from producer.retry import RetryRows
from producer.submit import JobRequest, request_for
from producer.undo import undo_columns, undo_rows
from relabel.errors import InvalidInput, WrongState
from relabel.session import Session
from relabel.wording import count_of

SHOWN_CODES = 5
CODE_CHARS = 64


class DerivedOptions(NamedTuple):
    """What an undo and a retry have in common. `here`: it is to be carried out in this process tree."""

    rate: float | None = None
    name: str | None = None
    again: bool = False
    here: bool = False


class Prepared(NamedTuple):
    """The rows of a new job and the request for it; `note` is something to know before, '' where there is nothing."""

    checked: Checked
    request: JobRequest
    note: str


async def prepare_undo(
    session: Session,
    job_id: str,
    options: DerivedOptions,
    *,
    keys: frozenset[str] | None = None,
    force: bool = False,
) -> Prepared:
    """Return the rows that restore what a job changed, in these metadata keys only where some are named.

    With `force` they also restore what somebody else changed since. The caller closes the rows.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: its rows may still change, or are lost.
        InvalidInput: it kept nothing to restore, or changed nothing.

    """
    job = await settled_job(session, job_id, here=options.here)
    spec = job.spec
    if spec.kind.only_reads:
        raise InvalidInput(f"job {job_id} {_ONLY_READS[spec.kind]}, so there is nothing to undo{_instead(job)}.")
    if not spec.journal:
        raise InvalidInput(f"job {job_id} kept nothing to restore (--no-undo); submit a file with the old values.")
    rows = undo_rows(session.ledger, spec, keys=keys, force=force)
    checked = await stage_rows(rows, spec, columns=undo_columns(spec.columns), mode=Mode.MERGE)
    if not checked.total:
        checked.close()
        limit = " in these keys" if keys else ""
        raise InvalidInput(f"job {job_id} changed nothing{limit}, so there is nothing to undo.")
    waits = job.state in {JobState.PAUSED, JobState.HELD}
    note = f"Job {job_id} is {job.state} and may be resumed; `relabel cancel` ends it." if waits else ""
    remark = ", ".join((["forced"] if force else []) + ([f"keys {','.join(sorted(keys))}"] if keys else []))
    request = derived_request(session, job, options, kind=Kind.UNDO, mode=Mode.MERGE, journal=True, remark=remark)
    return Prepared(checked, request, note)


async def prepare_retry(
    session: Session,
    job_id: str,
    options: DerivedOptions,
    *,
    codes: frozenset[str] | None = None,
    everything: bool = False,
) -> Prepared:
    """Return the failed rows of a job that may work, those of some codes, or all of them. The caller closes them.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: its rows may still change, or are lost.
        InvalidInput: no row is left to try.

    """
    job = await settled_job(session, job_id, here=options.here)
    spec = job.spec
    if spec.kind.only_reads:
        instead = f"`relabel plan --from {job_id} --only failed` plans its failed rows again"
        again = instead if spec.kind is Kind.PLAN else f"`relabel verify {spec.parent}` reads them again"
        raise InvalidInput(f"job {job_id} {_ONLY_READS[spec.kind]}, so there is nothing to retry; {again}.")
    rows = RetryRows(session.ledger, spec, codes=codes, everything=everything)
    checked = await stage_rows(aiter(rows), spec)
    if not checked.total:
        checked.close()
        raise InvalidInput(f"job {job_id} has no rows to retry{_why_none(rows.left_out, codes)}.")
    hopeless = rows.left_out and codes is None
    note = f"{_numbered(rows.left_out)} can never work as they are; --all takes them, too." if hopeless else ""
    remark = f"codes {','.join(sorted(codes))}" if codes else ""
    request = derived_request(
        session, job, options, kind=Kind.RETRY, mode=spec.mode, journal=spec.journal, remark=remark
    )._replace(exact=spec.exact)
    return Prepared(checked, request, note)


_ONLY_READS = {Kind.PLAN: "is a plan, which changes nothing", Kind.VERIFY: "is a verification, which only reads"}


def _instead(job: Job) -> str:
    """Return what undoes the changes that a job without changes of its own is about."""
    if job.spec.kind is Kind.VERIFY:
        return f"; `relabel undo {job.spec.parent}` undoes the job that it read"
    return "; an undo is for the job that applied it"


async def settled_job(session: Session, job_id: str, *, here: bool) -> Job:
    """Return a job whose rows stay as they are; `here` also refuses one for another API than the settings name."""
    job = await session.ledger.jobs.get(job_id)
    if job.state is JobState.LOST:
        raise derived_rows_lost(job.spec)
    if job.state is JobState.SUBMITTING:
        raise WrongState(f"job {job_id} is still being stored; wait for it, then pause or cancel it first.")
    if job.state is JobState.RUNNING:
        raise WrongState(f"job {job_id} is running; pause or cancel it first.")
    # a worker whose lease ran out may only be stopped: when it goes on, it is refused
    await session.ledger.shards.rescue(job_id)
    if await session.ledger.shards.is_leased(job_id):
        raise WrongState(f"job {job_id} still has rows in flight; try again in a few seconds.")
    target, url = job.spec.target, session.settings.openai_base_url
    if here and target != url:
        where = f"{target}, but OPENAI_BASE_URL is {url}"
        raise InvalidInput(f"job {job_id} is for {where}; set it to the former and try again.")
    return job


def derived_request(
    session: Session, job: Job, options: DerivedOptions, *, kind: Kind, mode: Mode, journal: bool, remark: str
) -> JobRequest:
    """Return the request for a job of that kind, of the rows of another one."""
    spec = job.spec
    name = options.name or f"{kind} of {spec.name}"
    return request_for(session.settings, name, by=session.user, mode=mode, journal=journal)._replace(
        target=spec.target,
        rate_per_minute=options.rate or job.rate_per_minute,
        again=options.again,
        kind=kind,
        parent=spec.job_id,
        remark=remark,
    )


async def stage_rows(
    rows: AsyncIterator[Patch], spec: JobSpec, *, columns: Columns | None = None, mode: Mode | None = None
) -> Checked:
    """Stage rows that are made of a job's, in its columns and its mode unless others are given. The caller closes them.

    Raises:
        WrongState: rows of the job are lost.

    """
    try:
        return await check_made(rows, columns=columns or spec.columns, mode=mode or spec.mode, spool_dir=spool_folder())
    except StateLost as error:
        raise derived_rows_lost(spec) from error


def spool_folder() -> Path:
    """Return where rows are staged."""
    return Path(tempfile.gettempdir())  # for files without a name


def derived_rows_lost(spec: JobSpec) -> WrongState:
    """Return the error of a job whose rows are gone."""
    return WrongState(f"{rows_lost(spec.job_id, 'nothing can be made of it', remedy_of(spec))}.")


def _why_none(left_out: Counter[str], codes: frozenset[str] | None) -> str:
    if not left_out:
        return ": none failed"
    if codes is not None:
        return f" with these codes; failed are: {_numbered(left_out)}"
    return f" that can work as they are, but {_numbered(left_out)}; correct them, or try them all the same (--all)"


def _numbered(left_out: Counter[str]) -> str:
    most = [f"{printable(code, CODE_CHARS)} {number:,}" for code, number in left_out.most_common(SHOWN_CODES)]
    more = len(left_out) - len(most)
    rest = f", {count_of(more, 'other code')}" if more > 0 else ""
    return f"{count_of(left_out.total(), 'row')} ({', '.join(most)}{rest})"
