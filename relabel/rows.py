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
from ledger.row import Outcome, Rejection
from ledger.row_pages import (
    find_outcomes,
    in_groups,
    read_numbered,
    read_rejections_from,
    read_unsent_from,
    with_codes,
)
from ledger.row_reader import ReportedRow
from relabel.errors import InvalidInput, RowsLost, WrongState
from relabel.session import Session
from report.as_csv import raw_text
from report.changes import row_change
from report.rows import FOLDED, INVALID_CODE, NO_CHANGE_CODE, WORDS, AnyRow, row_status

MOST_ROWS = 1000
"""Rows of a page."""
TOGETHER = 200
"""Rows that are read between two looks at the clock."""
LOOKED_AT = 2000
"""Rows whose codes are read together."""
LONGEST_S = 0.5
"""Time after which a page ends, however few rows it has: each row may be in a shard of its own."""
_PLACE = re.compile(r"([rxu])(\d{1,12})")


class RowFilter(NamedTuple):
    """Which rows are asked for: those of some words (`report.rows.WORDS`), and with some codes; all where none is."""

    outcomes: Set[str] = frozenset()
    codes: Set[str] = frozenset()

    @property
    def words(self) -> Set[str]:
        """The words of the rows."""
        return self.outcomes or frozenset(WORDS)

    def takes_code(self, code: str) -> bool:
        """Return whether rows with this code are asked for."""
        return not self.codes or code in self.codes


ANY_ROW = RowFilter()


class RowPage(NamedTuple):
    """Rows as facts, the place behind which the next page begins, and whether there may be more."""

    rows: list[dict[str, Any]]
    last: str
    has_more: bool


class _Placed(NamedTuple):
    """A place in the list, and its row; None for one that was looked at and is not asked for."""

    kind: str
    number: int
    row: AnyRow | None

    @property
    def place(self) -> str:
        return f"{self.kind}{self.number}"


class _Start(NamedTuple):
    """Where to begin, and how many rows to read together."""

    kind: str
    number: int
    together: int


async def page_of_rows(
    session: Session, job_id: str, number: int, wanted: RowFilter = ANY_ROW, *, after: str = "", start: str = ""
) -> RowPage:
    """Return so many rows of a job at most that are asked for, behind the place `after`, or from the place `start` on.

    Rows that were or will be sent come first, then those that were rejected, then those for which nothing is sent. A
    page ends after half a second at the latest, so that it may be short, even empty, although more follow.

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
    begin = _begin_at(start, number) if start else _begin_behind(after, number)
    found, last = list[_Placed](), after
    deadline = time.monotonic() + LONGEST_S
    try:
        async for placed in _rows(session.ledger, job.spec, wanted, begin):
            late = last != after and time.monotonic() > deadline
            if len(found) == number or late:
                return RowPage(_facts(job, found), last, has_more=True)
            last = placed.place
            found += [placed] if placed.row is not None else []
    except StateLost as error:
        raise _lost(job.spec) from error
    return RowPage(_facts(job, found), last, has_more=False)


def _begin_behind(after: str, number: int) -> _Start:
    begin = _begin_at(after or "r0", number)
    return begin._replace(number=begin.number + 1) if after else begin


def _begin_at(place: str, number: int) -> _Start:
    match = _PLACE.fullmatch(place)
    if match is None:
        raise InvalidInput(f"{printable(place, 40)!r} is no place in a list of rows; take `last_id` of a page.")
    return _Start(match[1], int(match[2]), min(TOGETHER, number + 1))  # one more row tells whether there are more


async def _rows(ledger: Ledger, spec: JobSpec, wanted: RowFilter, start: _Start) -> AsyncIterator[_Placed]:
    """Yield the rows from a place on: those of the ledger, then those that are never sent."""
    for kind, rows_of in _KINDS.items():
        if list(_KINDS).index(kind) >= list(_KINDS).index(start.kind):
            first = start.number if kind == start.kind else 0
            async for number, row in rows_of(ledger, spec, wanted, start._replace(number=first)):
                yield _Placed(kind, number, row)


_Numbered = AsyncIterator[tuple[int, AnyRow | None]]


async def _sent(ledger: Ledger, spec: JobSpec, wanted: RowFilter, start: _Start) -> _Numbered:
    """Yield rows of the ledger, read in groups that fit the page; of a group with none that is asked for, its end."""
    outcomes = {each for each in Outcome if each.word in wanted.words}
    together = LOOKED_AT if wanted.codes else start.together
    async for group in in_groups(find_outcomes(ledger.redis, spec, outcomes, start.number), together):
        numbers = await with_codes(ledger.redis, spec, group, wanted.codes) if wanted.codes else group
        for at in range(0, len(numbers), start.together):
            part = numbers[at : at + start.together]
            for pair in zip(part, await read_numbered(ledger.redis, spec, part), strict=True):
                yield pair
        if wanted.codes:
            yield group[-1], None


async def _rejected(ledger: Ledger, spec: JobSpec, wanted: RowFilter, start: _Start) -> _Numbered:
    if Outcome.REJECTED.word in wanted.words and wanted.takes_code(INVALID_CODE):
        async for pair in read_rejections_from(ledger.redis, spec, start.number):
            yield pair


async def _unsent(ledger: Ledger, spec: JobSpec, wanted: RowFilter, start: _Start) -> _Numbered:
    words = wanted.words - (set() if wanted.takes_code(NO_CHANGE_CODE) else {Outcome.UNCHANGED.word})
    words -= {FOLDED} if wanted.codes else set()
    if words.isdisjoint({FOLDED, Outcome.UNCHANGED.word}):
        return
    async for number, row in read_unsent_from(ledger.redis, spec, start.number):
        yield number, row if (Outcome.UNCHANGED.word if row.folded_into is None else FOLDED) in words else None


_KINDS: dict[str, Callable[[Ledger, JobSpec, RowFilter, _Start], _Numbered]] = {
    "r": _sent,
    "x": _rejected,
    "u": _unsent,
}
"""The kinds of rows in their order, by the letter of their places."""


def _facts(job: Job, found: list[_Placed]) -> list[dict[str, Any]]:
    return [_row_facts(job, placed.place, placed.row) for placed in found if placed.row is not None]


def _row_facts(job: Job, place: str, row: AnyRow) -> dict[str, Any]:
    status = row_status(row, job.spec)._asdict()
    del status["before"], status["after"]  # the row's image and its changes are told below
    patch = None if isinstance(row, Rejection) else row.patch
    sent = row if isinstance(row, ReportedRow) else None
    changes = row_change(job.spec, sent).changes if sent else []
    return {
        "object": "row",
        "id": place,
        "row": int(place[1:]) if sent else None,
        "completion_id": patch.completion_id if patch else None,
        **status,
        "metadata": patch.metadata if patch else None,
        "before": sent.before if sent else None,
        "changes": [msgspec.to_builtins(change) for change in changes],
        "input": raw_text(row.cells) if isinstance(row, Rejection) else None,
    }


def _lost(spec: JobSpec) -> RowsLost:
    return RowsLost(f"{rows_lost(spec.job_id, 'they cannot be read', remedy_of(spec))}.")
