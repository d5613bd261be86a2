"""Submits a plan of a selection that workers read: the caller needs no API key, and waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from producer.selected import create_selected
from relabel.errors import InvalidInput
from relabel.plan import plan_request
from relabel.select import check_selection
from relabel.session import Session
from relabel.submit import FileOptions
from selection.options import options_of

NAME = "selection"
MOST_BYTES = 64 * 1024
"""Bytes of what is selected, as JSON: it is kept with the job, and shown with it."""


async def plan_selection(session: Session, asked: Mapping[str, Any], options: FileOptions, *, job_id: str = "") -> str:
    """Store a plan whose rows workers select, ask them to read the list, and return its id.

    `asked` holds the options of `relabel select` by their names in snake case; of `options` those count that are not
    about files. `job_id` is an id that was kept for the plan.

    Raises:
        InvalidInput: what is asked for makes no selection, or would change nothing.
        JobIdTaken: the id that was kept for it is another job's.

    """
    given = {name: value for name, value in asked.items() if value is not None}
    if callable(given.get("where")):
        raise InvalidInput("workers cannot call a function of yours; write `where` as an expression.")
    selection = check_selection(options_of(given), for_plan=True)
    packed = msgspec.json.encode(given)
    if len(packed) > MOST_BYTES:
        raise InvalidInput(f"the selection has more than {MOST_BYTES:,} bytes; shorten it.")
    request = plan_request(options, session.settings, by=session.user)._replace(job_id=job_id)
    plan_id = await create_selected(
        request, packed, keys=selection.labels.keys, oldest_first=options.oldest_first, ledger=session.ledger
    )
    _ask_to_read(session, plan_id)
    return plan_id


def _ask_to_read(session: Session, plan_id: str) -> None:
    from tasks.announce import ask_to_read  # noqa: PLC0415 - loads Celery, which a look at a job needs not
    from tasks.celery_app import make_app  # noqa: PLC0415 - as above

    ask_to_read(make_app(session.settings), plan_id)
