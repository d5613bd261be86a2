"""Metrics of the shared rates: allowed, used, and how long they were paused."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.text import printable
from ledger.ledger import Ledger
from ratelimit.shared_rate import USED_OVER_S, limits_in_use

LABEL_CHARS = 255
"""Most of a label that comes from the ledger."""
_LABELS = ("endpoint", "limit")


async def limit_families(ledger: Ledger) -> list[Metric]:
    """Return the limits that workers used lately; `limit` distinguishes keys, and no key can be derived from it."""
    configured = _gauge("configured", "Rate of the workers' settings.")
    asked = _gauge("asked", "Rate of the settings, or the one set live with `relabel rate`.")
    in_force = _gauge("in_force", "Rate in force: lower than asked for where 429s, headers or failures slowed it down.")
    used = _gauge("used", "Requests sent, over the last five seconds.")
    pause = GaugeMetricFamily("relabel_rate_pause_left_seconds", "Seconds that all rows still wait.", labels=_LABELS)
    paused = CounterMetricFamily(
        "relabel_rate_paused_seconds",
        "Seconds that all rows waited, by reason; a pause counts in full when it begins.",
        labels=(*_LABELS, "reason"),
    )
    failing = GaugeMetricFamily(
        "relabel_endpoint_failing_seconds",
        "Seconds for which every read or every write has failed; 0 where one succeeded or nobody sends any.",
        labels=_LABELS,
    )
    for seen in await limits_in_use(ledger.redis):
        labels = [printable(seen.endpoint, LABEL_CHARS), printable(seen.name, LABEL_CHARS)]
        configured.add_metric(labels, seen.configured.rate)
        asked.add_metric(labels, seen.status.asked)
        in_force.add_metric(labels, seen.status.rate)
        used.add_metric(labels, seen.status.used / USED_OVER_S)
        pause.add_metric(labels, seen.status.paused_s)
        failing.add_metric(labels, seen.failing_s)
        for reason, seconds in seen.paused_s.items():
            paused.add_metric([*labels, printable(reason, LABEL_CHARS)], seconds)
    return [configured, asked, in_force, used, pause, paused, failing]


def _gauge(which: str, what: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"relabel_rate_{which}_requests_per_second", what, labels=_LABELS)
