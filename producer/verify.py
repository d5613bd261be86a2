"""Derives the rows that verify a job: what each of its completions is to hold."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.row import Patch
from ledger.row_reader import read_rows


async def verify_rows(ledger: Ledger, spec: JobSpec) -> AsyncIterator[Patch]:
    """Yield what each completion of the job is to hold, a patch for each row that a worker was to carry out, in order.

    Where the service made something else of a value, the patch expects that, too: it is the job's own doing.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    async for row in read_rows(ledger.redis, spec):
        patch = row.patch
        yield Patch(patch.line, patch.completion_id, patch.metadata, row.altered)
