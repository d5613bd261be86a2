"""Makes the order for a job of a file, with what the settings say of every job."""

from __future__ import annotations

from config.settings import Settings
from ledger.job import Mode
from producer.source import InputLimits
from producer.submit import Order

DAY_S = 86_400.0


def order_for(settings: Settings, name: str, *, mode: Mode, journal: bool = True) -> Order:
    """Make an order with the target, the shards and the life that the settings give a job."""
    return Order(
        name=name,
        mode=mode,
        journal=journal,
        target=settings.openai_base_url,
        shard_rows=settings.job.shard_rows,
        keep_s=settings.job.keep_days * DAY_S,
    )


def limits_of(settings: Settings) -> InputLimits:
    """Return how large an input may be."""
    return InputLimits(settings.input.max_rows, int(settings.input.max_gib * (1 << 30)))
