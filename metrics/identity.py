"""Metrics of the ledger's identity and of what Redis lost, so that a reset is not shown as numbers that fell."""

from __future__ import annotations

from collections import Counter

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from config.text import printable
from ledger.ledger import Ledger

GENERATION_CHARS = 64
KINDS = ("job", "night")


async def identity_families(ledger: Ledger) -> list[Metric]:
    """Return which ledger this is, since when it exists, and what was lost; what is not known has no sample."""
    identity = await ledger.identity.read()
    losses = Counter(loss.kind for loss in await ledger.losses.recent())
    lost = GaugeMetricFamily("relabel_losses", "What Redis lost within the last day, by kind.", labels=["kind"])
    for kind in KINDS:
        lost.add_metric([kind], losses[kind])
    info = InfoMetricFamily("relabel_ledger", "Which ledger this is; counters of two generations cannot be compared.")
    if identity:
        info.add_metric([], {"generation": printable(identity.generation, GENERATION_CHARS)})
    reset = identity.reset if identity else None
    return [
        lost,
        info,
        GaugeMetricFamily(
            "relabel_ledger_created_timestamp_seconds",
            "Since when the ledger exists, seconds since the epoch.",
            identity.since if identity else None,
        ),
        GaugeMetricFamily(
            "relabel_ledger_reset_timestamp_seconds",
            "When a process found the ledger in the place of another one; missing where none did.",
            reset.at if reset else None,
        ),
    ]
