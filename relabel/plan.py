"""Prepares a plan: a job that reads what each completion holds and computes what would change, and writes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Set

from config.settings import Settings
from ledger.job_spec import Kind, Mode
from ledger.row import OUTCOMES, Outcome, Patch
from producer import submit as producer
from producer.again import intended_rows
from producer.check import check_made
from producer.selected import SELECTED_COLUMNS
from producer.submit import JobRequest
from relabel.derived import DerivedOptions, Prepared, derived_request, settled_job, spool_folder, stage_rows
from relabel.errors import InvalidInput
from relabel.session import Session
from relabel.submit import FileOptions, request_for

ROWS_OF = tuple(word for word in OUTCOMES if word != Outcome.REJECTED.word)
"""Outcomes whose rows can be planned again: those that were or could have been carried out."""


def plan_request(options: FileOptions, settings: Settings, *, by: str, hold: bool = False) -> JobRequest:
    """Return the request for a plan of the file; it is never taken for an earlier one of the same content."""
    return _as_plan(request_for(options, settings, by=by, hold=hold))


async def prepare_plan(session: Session, job_id: str, options: FileOptions, *, only: Set[str], here: bool) -> Prepared:
    """Return the rows of a job that ended so, with the values that it meant them to have. The caller closes them.

    Of the options those count that are not about files. `here`: the plan is carried out in this process tree.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: its rows may still change, or are lost.
        InvalidInput: it has no such rows.

    """
    job = await settled_job(session, job_id, here=here)
    spec, outcomes = job.spec, frozenset(outcome for outcome in Outcome if outcome.word in only)
    checked = await stage_rows(intended_rows(session.ledger, spec, outcomes), spec)
    words = ", ".join(sorted(only))
    if not checked.total:
        checked.close()
        raise InvalidInput(f"job {job_id} has no rows that ended as {words}, so there is nothing to plan.")
    derived = DerivedOptions(options.rate, options.name)
    request = derived_request(
        session, job, derived, kind=Kind.PLAN, mode=spec.mode, journal=True, remark=f"rows {words}"
    )._replace(max_failures=options.max_failures, priority=options.priority)
    return Prepared(checked, _as_plan(request), "")


async def prepare_selection(session: Session, patches: AsyncIterator[Patch]) -> Prepared:
    """Return the rows of a selection, with what it saw of each completion. The caller closes them."""
    checked = await check_made(patches, columns=SELECTED_COLUMNS, mode=Mode.MERGE, spool_dir=spool_folder())
    request = producer.request_for(session.settings, "selection", by=session.user, mode=Mode.MERGE)
    return Prepared(checked, _as_plan(request), "")


def _as_plan(request: JobRequest) -> JobRequest:
    """Return the request for a plan: nothing of it need be found by completion, as it changes none."""
    return request._replace(kind=Kind.PLAN, journal=True, again=True, indexed=False)
