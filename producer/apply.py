"""Derives the rows that apply a plan: what each completion is to hold after, and what it has to hold before."""

from __future__ import annotations

from ledger.job_spec import Mode
from ledger.patching import apply_patch, diff
from ledger.row import Outcome, Patch
from ledger.row_reader import ReportedRow


def applied_row(row: ReportedRow, mode: Mode) -> Patch | None:
    """Return the patch that makes the change of a plan's row; None for a row that would change nothing.

    It names the keys that would change and expects them as they were seen; in `replace` mode the whole maps.
    """
    if row.outcome is not Outcome.WOULD_CHANGE or row.before is None:
        return None
    patch, before = row.patch, row.before
    if mode is Mode.REPLACE:
        after = apply_patch(before, patch.metadata, mode)
        return Patch(patch.line, patch.completion_id, dict(after), dict(before))
    changes = diff(before, patch.metadata, mode)
    after_of, before_of = ({key: change[at] for key, change in changes.items()} for at in (1, 0))
    return Patch(patch.line, patch.completion_id, after_of, before_of)
