"""What a caller sees of the selection of a plan that workers read the list for."""

from __future__ import annotations

from typing import Any

import msgspec


class SelectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What workers select for a plan, and how far that is: completions read and matched, those left out by reason.

    `asked` holds what was asked for, by the names of `relabel select` in snake case. `share` is the part of the time
    span that was read, 0 to 1; `waits_for` what the API refused a page with that is tried again, '' for none.
    """

    asked: dict[str, Any]
    is_read: bool
    read: int
    matched: int
    left_out: dict[str, int]
    requests: int
    seconds: float
    share: float | None
    doubts: list[str]
    waits_for: str
