"""Derives the rows that undo a job: what each completion held before, and what it must still hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container

from ledger.job_spec import Columns, JobSpec
from ledger.ledger import Ledger
from ledger.patching import diff, holds
from ledger.row import Patch
from ledger.row_reader import ReportedRow, read_rows


async def undo_rows(
    ledger: Ledger, spec: JobSpec, *, keys: Container[str] | None = None, force: bool = False
) -> AsyncIterator[Patch]:
    """Yield a patch for every row that has a before-image and that the job intended to change; `keys` limits the keys.

    Whatever became of the row: a write may have happened although its answer was lost. The patch names the keys that
    the job changed and no others, and expects them to hold what the job wrote, or what the service made of that
    (`altered`), unless forced.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    async for row in read_rows(ledger.redis, spec):
        patch = _undone(row, spec, keys, force=force)
        if patch is not None:
            yield patch


def undo_columns(columns: Columns) -> Columns:
    """Return the columns of an undo's report, in which any key can be set or removed."""
    if columns.format != "csv":
        return columns
    return Columns("csv", columns.id_column, [columns.id_column, "metadata"], columns.files)


def _undone(row: ReportedRow, spec: JobSpec, keys: Container[str] | None, *, force: bool) -> Patch | None:
    if row.before is None or _is_unwritten(row, spec):
        return None
    left = {key: change.after for key, change in diff(row.before, row.patch.metadata, spec.mode).items()}
    left |= row.altered or {}
    back = {key: row.before.get(key) for key in sorted(left) if keys is None or key in keys}
    if not back:
        return None
    expect = None if force else {key: left[key] for key in back}
    return Patch(row.patch.line, row.patch.completion_id, back, expect)


def _is_unwritten(row: ReportedRow, spec: JobSpec) -> bool:
    """Return whether the image is of a reviewed row that had drifted: before a write, it holds what was expected."""
    return spec.exact and not holds(row.before or {}, row.patch.expect or {}, spec.mode)
