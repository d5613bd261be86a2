"""Submits an input that was checked, for callers that answer questions beforehand: Python and HTTP."""

from __future__ import annotations

from collections.abc import Set
from itertools import islice
from typing import Any, NamedTuple

from producer.checked import Checked
from producer.errors import UnreadableFile
from producer.submit import JobRequest, Submitted
from relabel.errors import InvalidInput, NeedsConfirmation, RowsRejected
from relabel.findings import place_facts
from relabel.preview import Preview, look_ahead, preview_facts, preview_of, with_outlook
from relabel.session import Session
from relabel.submit import FileOptions, require_valid_rows, submit

SHOWN_REJECTIONS = 100
"""Rejected rows whose places a caller is told; the report has all of them."""
HOW_TO_CONFIRM = "look at `preview`, then confirm these codes if it is right"


class SubmittedInput(NamedTuple):
    """What an input would do, the job that was made of it (None: it was only to be checked), and its rejected rows.

    `rejections` are the places of the first ones, as JSON takes them.
    """

    preview: Preview
    submitted: Submitted | None
    rejections: list[dict[str, Any]]


async def submit_checked(
    session: Session,
    checked: Checked,
    options: FileOptions,
    request: JobRequest,
    *,
    confirmed: Set[str] = frozenset(),
    only_check: bool = False,
    deployed: bool = True,
) -> SubmittedInput:
    """Submit an input, or look at it only; `confirmed` holds the codes of questions that are answered with yes.

    `deployed`: workers that run already are to carry it out.

    Raises:
        RowsRejected: no row is valid, or with `strict` one is not.
        NeedsConfirmation: a question was not answered. What a terminal would ask about counts, the size included.
        LedgerUnreachable: the ledger is away.

    """
    rejections = [
        {**place_facts(row.line, checked.columns.files), "column": row.column, "reason": row.reason}
        for row in islice(checked.rejections(), SHOWN_REJECTIONS)
    ]
    try:
        require_valid_rows(checked, options)
    except (UnreadableFile, InvalidInput) as error:
        raise RowsRejected(str(error), rejections, checked.rejected) from error
    ahead = await look_ahead(session, checked, request, deployed=deployed)
    preview = with_outlook(preview_of(checked, request), ahead)
    if only_check:
        return SubmittedInput(preview, None, rejections)
    if questions := [question for question in preview.questions if question.code not in confirmed]:
        raise NeedsConfirmation(questions, how=HOW_TO_CONFIRM, preview=preview_facts(preview))
    return SubmittedInput(preview, await submit(session, checked, request), rejections)
