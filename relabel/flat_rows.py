"""The rows of a job as flat mappings, of which a table can be made."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from relabel.errors import InvalidInput
from relabel.rows import MOST_ROWS, RowFilter, page_of_rows
from relabel.session import Session
from report.rows import WORDS

FlatRow = dict[str, Any]
"""A row without maps: `metadata.KEY` is what it asks for, `before.KEY` what was there, `holds.KEY` what is there."""
_MAPS = ("metadata", "before", "holds")


async def flat_page(session: Session, job_id: str, outcomes: frozenset[str], after: str) -> tuple[list[FlatRow], str]:
    """Return rows of a job behind the place `after`, and the place behind which more may be, '' where none are."""
    page = await page_of_rows(session, job_id, MOST_ROWS, RowFilter(outcomes), after=after)
    return [_flat(row) for row in page.rows], page.last if page.has_more else ""


def outcomes_of(outcome: str | Collection[str]) -> frozenset[str]:
    """Return the words of outcomes that were given, with commas between them or as several.

    Raises:
        InvalidInput: one is unknown.

    """
    words = frozenset(outcome.split(",") if isinstance(outcome, str) else outcome) - {""}
    if unknown := sorted(words - set(WORDS)):
        raise InvalidInput(f"outcome {unknown[0]!r} is unknown; choose from {', '.join(WORDS)}.")
    return words


def _flat(row: dict[str, Any]) -> FlatRow:
    flat = {name: value for name, value in row.items() if name not in {"object", "changes", *_MAPS}}
    maps = {name: row[name] for name in _MAPS if row.get(name)}
    return flat | {f"{name}.{key}": value for name, pairs in maps.items() for key, value in pairs.items()}
