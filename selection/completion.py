"""A completion as filters, expressions and templates see it."""

from __future__ import annotations

from typing import NamedTuple

from ledger.row import Metadata


class Completion(NamedTuple):
    """What was read of a completion; `created` is in seconds since the epoch, None like the model where not shown."""

    id: str
    created: int | None
    model: str | None
    metadata: Metadata
