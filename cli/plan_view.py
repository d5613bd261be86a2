"""Shows what a plan found: each change of a key with its rows, and some rows as examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from config.text import printable
from ledger.input_files import place_of
from ledger.job import Job
from ledger.row import MAX_KEYS
from ledger.row_reader import ReportedRow
from relabel.plan_findings import PlanFindings, PlannedChange, sample_changes
from relabel.wording import count_of

VALUE_CHARS, KEY_CHARS, ID_CHARS = 40, 64, 64
SHOWN_LINES = 40
"""Changes that are shown; `status --json` has all that are counted each."""
ABSENT = "absent"
SAMPLE_KEYS = 3
"""Keys that are shown of a row that is an example."""


def change_lines(found: PlanFindings) -> Iterator[str]:
    """Yield a line a change, those of a key together, with the rows of all others."""
    for change in found.changes[:SHOWN_LINES]:
        yield f"{_changed(change.key, change.before, change.after)}  ({count_of(change.rows, 'row')})"
    if (more := len(found.changes) - SHOWN_LINES) > 0:
        yield f"and {count_of(more, 'more change')}"
    for key, rows in found.others.items():
        what = f"{printable(key, KEY_CHARS)}: other values" if key else "other keys"
        yield f"{what}  ({count_of(rows, 'row')})"


def few_changes(found: PlanFindings, of_key: int) -> PlanFindings:
    """Return the findings with so many changes of each key, those in the most rows; the others are counted together."""
    kept, others, seen = list[PlannedChange](), Counter(found.others), Counter[str]()
    for change in found.changes:
        seen[change.key] += 1
        if seen[change.key] <= of_key:
            kept.append(change)
        else:
            others[change.key] += change.rows
    return found._replace(changes=kept, others=others)


def sample_lines(job: Job, found: PlanFindings) -> Iterator[str]:
    """Yield a line for each row that is shown as an example."""
    return (row_line(job, row, most_keys=SAMPLE_KEYS) for row in found.samples)


def row_line(job: Job, row: ReportedRow, *, most_keys: int = MAX_KEYS) -> str:
    """Return where a row is, its completion, and what would become of its keys."""
    place = printable(str(place_of(row.patch.line, job.spec.files)))
    changed = sample_changes(job, row)
    said = "; ".join(_changed(key, *change) for key, change in list(changed.items())[:most_keys])
    more = f"; and {count_of(len(changed) - most_keys, 'more key')}" if len(changed) > most_keys else ""
    return f"{place}, {printable(row.patch.completion_id, ID_CHARS)}: {said}{more}"


def _changed(key: str, before: str | None, after: str | None) -> str:
    return f"{printable(key, KEY_CHARS)}: {_value(before)} -> {_value(after)}"


def _value(value: str | None) -> str:
    """Return a value, in quotes where it could be taken for something else."""
    if value is None:
        return ABSENT
    shown = printable(value, VALUE_CHARS)
    return f"'{shown}'" if not value or value != value.strip() or value == ABSENT else shown
