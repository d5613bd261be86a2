"""Reads the rows of a job page by page, with what each changed."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Set
from typing import Any, NamedTuple

import msgspec

from config.text import printable
from ledger.errors import StateLost
from ledger.job import Job, JobState, remedy_of, rows_lost
from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.row import Outcome, Rejection, UnsentRow
from ledger.row_pages import find_outcomes, read_numbered, read_rejections_from, read_unsent_from
from ledger.row_reader import ReportedRow
from relabel.errors import InvalidInput, RowsLost, WrongState
from relabel.session import Session
from report.as_csv import raw_text
from report.changes import row_change
from report.rows import FOLDED, WORDS, AnyRow, row_status

MOST_ROWS = 1000
"""Rows of a page."""
TOGETHER = 200
"""Rows that are read between two looks at the clock."""
LONGEST_S = 0.5
"""Time after which a page ends, however few rows it has: each row may be in a shard of its own."""
_PLACE = re.compile(r"([rxu])(\d{1,12})")


class RowPage(NamedTuple):
    """Rows as facts, and whether there may be more behind the last one."""

    rows: list[dict[str, Any]]
    has_more: bool


class _Placed(NamedTuple):
    kind: str
    number: int
    row: AnyRow


class _Start(NamedTuple):
    """Where to begin, and how many rows to read together."""

    kind: str
    number: int
    together: int


async def page_of_rows(
    session: Session, job_id: str, number: int, *, outcomes: Set[str] = frozenset(), after: str = ""
) -> RowPage:
    """Return so many rows of a job at most, those of some words (`report.rows.WORDS`), behind the place `after`.

    Rows that were or will be sent come first, then those that were rejected, then those for which nothing is sent.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: it is still being stored.
        RowsLost: rows of it are gone from Redis.
        InvalidInput: there is no such place.

    """
    job = await session.ledger.jobs.get(job_id)
    if job.state is JobState.SUBMITTING:
        raise WrongState(f"job {job_id} is still being stored; try again when it runs.")
    if job.state is JobState.LOST:
        raise _lost(job.spec)
    start = _start_behind(after, number)
    found = list[_Placed]()
    deadline = time.monotonic() + LONGEST_S
    try:
        async for placed in _rows(session.ledger, job, outcomes or frozenset(WORDS), start):
            if len(found) == number or (found and time.monotonic() > deadline):
                return RowPage(_facts(job, found), has_more=True)
            found.append(placed)
    except StateLost as error:
        raise _lost(job.spec) from error
    return RowPage(_facts(job, found), has_more=False)


def _start_behind(after: str, number: int) -> _Start:
    together = min(TOGETHER, number + 1)  # one more row tells whether there are more
    if not after:
        return _Start("r", 0, together)
    match = _PLACE.fullmatch(after)
    if match is None:
        raise InvalidInput(f"{printable(after, 40)!r} is no place in a list of rows; take `last_id` of a page.")
    return _Start(match[1], int(match[2]) + 1, together)


async def _rows(ledger: Ledger, job: Job, words: Set[str], start: _Start) -> AsyncIterator[_Placed]:
    """Yield the rows from a place on: those of the ledger, then those that are never sent."""
    for kind, rows_of in _KINDS.items():
        if list(_KINDS).index(kind) >= list(_KINDS).index(start.kind):
            first = start.number if kind == start.kind else 0
            async for number, row in rows_of(ledger, job.spec, words, start._replace(number=first)):
                yield _Placed(kind, number, row)


async def _sent(
    ledger: Ledger, spec: JobSpec, words: Set[str], start: _Start
) -> AsyncIterator[tuple[int, ReportedRow]]:
    """Yield rows of the ledger, read in groups that fit the page."""
    group, wanted = list[int](), {each for each in Outcome if each.word in words}
    async for number in find_outcomes(ledger.redis, spec, wanted, start.number):
        group.append(number)
        if len(group) == start.together:
            for pair in zip(group, await read_numbered(ledger.redis, spec, group), strict=True):
                yield pair
            group = []
    for pair in zip(group, await read_numbered(ledger.redis, spec, group), strict=True):
        yield pair


async def _rejected(
    ledger: Ledger, spec: JobSpec, words: Set[str], start: _Start
) -> AsyncIterator[tuple[int, Rejection]]:
    if Outcome.REJECTED.word in words:
        async for pair in read_rejections_from(ledger.redis, spec, start.number):
            yield pair


async def _unsent(
    ledger: Ledger, spec: JobSpec, words: Set[str], start: _Start
) -> AsyncIterator[tuple[int, UnsentRow]]:
    if words.isdisjoint({FOLDED, Outcome.UNCHANGED.word}):
        return
    async for number, row in read_unsent_from(ledger.redis, spec, start.number):
        if (Outcome.UNCHANGED.word if row.folded_into is None else FOLDED) in words:
            yield number, row


_KINDS: dict[str, Callable[[Ledger, JobSpec, Set[str], _Start], AsyncIterator[tuple[int, AnyRow]]]] = {
    "r": _sent,
    "x": _rejected,
    "u": _unsent,
}
"""The kinds of rows in their order, by the letter of their places."""


def _facts(job: Job, found: list[_Placed]) -> list[dict[str, Any]]:
    return [_row_facts(job, placed) for placed in found]


def _row_facts(job: Job, placed: _Placed) -> dict[str, Any]:
    kind, number, row = placed
    status = row_status(row, job.spec)._asdict()
    del status["before"], status["after"]  # the row's image and its changes are told below
    patch = None if isinstance(row, Rejection) else row.patch
    sent = row if isinstance(row, ReportedRow) else None
    changes = row_change(job.spec, sent).changes if sent else []
    return {
        "object": "row",
        "id": f"{kind}{number}",
        "row": number if sent else None,
        "completion_id": patch.completion_id if patch else None,
        **status,
        "metadata": patch.metadata if patch else None,
        "before": sent.before if sent else None,
        "changes": [msgspec.to_builtins(change) for change in changes],
        "input": raw_text(row.cells) if isinstance(row, Rejection) else None,
    }


def _lost(spec: JobSpec) -> RowsLost:
    return RowsLost(f"{rows_lost(spec.job_id, 'they cannot be read', remedy_of(spec))}.")
