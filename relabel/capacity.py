"""What follows from a probe of the service for one worker: how much time rows take, and whether it can use the rate."""

from __future__ import annotations

import math
import os

from config.settings import Settings
from ledger.service_profile import Behaviour
from relabel.wording import per_minute


def pace_hint(settings: Settings, behaviour: Behaviour, rate_per_minute: float) -> str:
    """Return what holds one worker with these settings below the rate, as each request takes so long; else ''."""
    needed = math.ceil(rate_per_minute / 60 * (behaviour.read_s + behaviour.write_s) / 2)
    at_once = rows_at_once(settings)
    if needed <= at_once:
        return ""
    return (
        f"At {per_minute(rate_per_minute)} some {needed:,} requests must be under way at once here, and a "
        f"worker with these settings has {at_once:,} at most: raise RELABEL_WORKER__IN_FLIGHT, or add workers."
    )


def least_seconds(settings: Settings, behaviour: Behaviour, rows: int, *, reads: bool, writes: bool = True) -> float:
    """Return the seconds that one worker needs for so many rows however high the rate, as each takes so long."""
    return rows * (writes * behaviour.write_s + reads * behaviour.read_s) / rows_at_once(settings)


def rows_at_once(settings: Settings) -> int:
    """Return the rows that one worker with these settings works on at once, on a machine like this."""
    return settings.worker.in_flight * (settings.worker.children or os.cpu_count() or 1)
