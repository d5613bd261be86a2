"""A real ledger for what a worker runs beside its pool."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ledger.connect import open_ledger
from ledger.ledger import Ledger


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """The ledger of the workers."""
    async with open_ledger(redis_url) as redis:
        yield Ledger(redis)
