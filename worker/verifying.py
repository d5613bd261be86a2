"""Decides how a row of a verify ends: whether its completion holds what another job left there, or why it differs."""

from __future__ import annotations

from collections.abc import Sequence

from completions.errors import RowFailed
from ledger.errors import NoSuchJob, StateLost
from ledger.job_spec import JobSpec, Mode
from ledger.ledger import Ledger
from ledger.row import Metadata, Outcome, Patch
from ledger.row_reader import ReportedRow
from report.later_changes import LaterChanges
from worker.read_run import Conclusion
from worker.row_failures import first_few

CHANGED_BY_JOB, CHANGED_ELSEWHERE, NOT_APPLIED, GONE = "changed_by_job", "changed_elsewhere", "not_applied", "gone"

CAUSES = {
    CHANGED_BY_JOB: "another job wrote what the completion holds now",
    CHANGED_ELSEWHERE: "somebody else changed the completion, or a job that is kept no more",
    NOT_APPLIED: "the job did not write the row, or the completion holds what was there before",
    GONE: "the completion is not found any more: it was deleted, or is older than 30 days",
}
"""What each code of a row stands for that does not hold what the job left. Codes are stable."""


class Verifying:
    """Ends the rows of a verify. `first_row` is the number of the shard's first row within the job.

    A row has the place in the input of the verified job that it has in the verify. Of a row that differs, the image is
    kept: it is what the completion holds.
    """

    assumes_writes = False

    def __init__(self, ledger: Ledger, spec: JobSpec, *, first_row: int) -> None:
        self._spec = spec
        self._first_row = first_row
        self._changes = LaterChanges(ledger)

    def is_clear(self, patch: Patch, seen: Metadata) -> bool:
        """Return whether a list showed that all is as the job left it: a difference counts only once it was read."""
        return not differing_keys(patch, seen, self._spec.mode)

    async def conclude(self, row: int, patch: Patch, held: Metadata) -> Conclusion:
        """Return whether the completion holds what the job left, or why not."""
        keys = differing_keys(patch, held, self._spec.mode)
        if not keys:
            return Conclusion(Outcome.UNCHANGED)
        return Conclusion(Outcome.DRIFTED, await self._cause(row, patch, held, keys), keeps_image=True)

    async def missing(self, row: int, _patch: Patch, refusal: RowFailed) -> Conclusion:
        """Return that the completion is gone, unless the job never reached it."""
        verified = await self._verified_row(row)
        applied = verified is None or was_applied(verified)
        found = RowFailed(
            GONE if applied else NOT_APPLIED, refusal.message, status=refusal.status, request_id=refusal.request_id
        )
        return Conclusion(Outcome.DRIFTED, found)

    async def _cause(self, row: int, patch: Patch, held: Metadata, keys: Sequence[str]) -> RowFailed:
        verified, named = await self._verified_row(row), first_few(keys)
        if verified is None:
            return RowFailed(CHANGED_ELSEWHERE, f"holds another {named}; the verified job is kept no more")
        if not was_applied(verified):
            return RowFailed(NOT_APPLIED, f"holds another {named}, as {_end_of(verified)}")
        author = await self._changes.author_of(
            patch.completion_id, held, keys, since=verified.settled_at or 0, besides=str(self._spec.parent)
        )
        if author:
            return RowFailed(CHANGED_BY_JOB, f"job {author} changed {named} since")
        before = verified.before
        if before is not None and all(held.get(key) == before.get(key) for key in keys):
            return RowFailed(NOT_APPLIED, f"holds what was there before: {named}")
        return RowFailed(CHANGED_ELSEWHERE, f"somebody else changed {named} since")

    async def _verified_row(self, row: int) -> ReportedRow | None:
        """Return the row of the job that is verified; None where that is kept no more."""
        try:
            job = await self._changes.job(str(self._spec.parent))
            return await self._changes.row(job.spec, job.spec.stored_row(self._first_row + row))
        except (NoSuchJob, StateLost):
            return None


def differing_keys(patch: Patch, held: Metadata, mode: Mode) -> list[str]:
    """Return the keys that hold neither what the job meant nor what the service made of it; in `replace` all count."""
    meant, made = patch.metadata, patch.expect or {}
    keys = meant.keys() | made.keys() | (held.keys() if mode is Mode.REPLACE else set())
    return sorted(key for key in keys if held.get(key) not in (meant.get(key), made.get(key, meant.get(key))))


def was_applied(row: ReportedRow) -> bool:
    """Return whether a job left something in the row: it wrote it, or found it as it should be."""
    return row.outcome in {Outcome.UPDATED, Outcome.UNCHANGED} or row.altered is not None


def _end_of(row: ReportedRow) -> str:
    if row.outcome is Outcome.PENDING:
        return "the row has not ended"
    code = f" ({row.detail.code})" if row.detail and row.detail.code else ""
    return f"the row ended as {row.outcome.word}{code}"
