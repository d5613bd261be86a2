"""Selects rows of a job to be looked at again, with the values that the job meant their completions to have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container

from msgspec.structs import replace

from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.row import Outcome, Patch
from ledger.row_reader import read_rows


async def intended_rows(ledger: Ledger, spec: JobSpec, outcomes: Container[Outcome]) -> AsyncIterator[Patch]:
    """Yield the rows of these outcomes in order, whatever their completions were expected or seen to hold.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    async for row in read_rows(ledger.redis, spec, only=outcomes):
        yield replace(row.patch, expect=None, seen=None)
