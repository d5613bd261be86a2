"""Reads everything when Prometheus scrapes, within a bound, and counts what could not be read."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from config.settings import Settings
from ledger.connect import AWAY, open_ledger
from ledger.errors import LedgerUnreachable, NewerLedger
from ledger.ledger import Ledger
from ledger.loss_detector import LossDetector
from metrics.identity import identity_families
from metrics.infrastructure import server_families, worker_families
from metrics.limits import limit_families
from metrics.nights import night_families, notice_families
from metrics.rows import row_families
from tasks.broker import Broker, BrokerUnreachable

SECTIONS: tuple[Callable[[Ledger], Awaitable[list[Metric]]], ...] = (
    identity_families,
    row_families,
    limit_families,
    night_families,
    notice_families,
    worker_families,
    server_families,
)
"""The readers of the ledger; a new subject is a file beside this one and a line here."""
LONGEST_SCRAPE_S = 6.0
"""Bound of one scrape; the default timeout of Prometheus is 10 s."""


class LedgerCollector(Collector):
    """The metrics of one ledger, read anew for each scrape over a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broker = Broker(settings)
        self._errors = {"ledger": 0, "broker": 0, "disk": 0}
        self._losses = LossDetector(f"metrics@{socket.gethostname()}")

    def collect(self) -> Iterable[Metric]:
        """Yield all families; where Redis is away, `relabel_ledger_up 0` and what is known without it."""
        began = time.perf_counter()
        yield InfoMetricFamily("relabel_build", "What runs here.", {"version": version("relabel")})
        families = self._of_ledger()
        yield GaugeMetricFamily(
            "relabel_ledger_up", "1 where Redis answered; else most metrics are missing.", bool(families)
        )
        yield from families
        # where both are one server that hangs, a second look would only take as long as the first
        yield from self._of_broker(ask=bool(families) or self._settings.broker_url is not None)
        yield from self._of_disk(self._settings.metrics.ledger_disk)
        errors = CounterMetricFamily(
            "relabel_scrape_errors", "Scrapes that could not read everything, by source.", labels=["source"]
        )
        for source, number in self._errors.items():
            errors.add_metric([source], number)
        yield errors
        took = time.perf_counter() - began
        yield GaugeMetricFamily("relabel_scrape_duration_seconds", "Seconds that this scrape took.", took)

    def _of_ledger(self) -> list[Metric]:
        try:
            return asyncio.run(self._read())
        except (LedgerUnreachable, OSError):
            self._errors["ledger"] += 1
            return []

    async def _read(self) -> list[Metric]:
        async with asyncio.timeout(LONGEST_SCRAPE_S), open_ledger(self._settings.ledger_url, retry=False) as redis:
            ledger = Ledger(redis)
            with contextlib.suppress(NewerLedger, *AWAY):  # whatever it meets must not take the numbers away
                await self._losses.check(ledger)
            return [family for section in SECTIONS for family in await section(ledger)]

    def _of_broker(self, *, ask: bool) -> Iterator[Metric]:
        length = None
        try:
            length = self._broker.queue_length() if ask else None
        except BrokerUnreachable:
            self._errors["broker"] += 1
        yield GaugeMetricFamily("relabel_broker_up", "1 where Celery's broker answered.", length is not None)
        if length is not None:
            what = "Messages that no worker has taken yet; few are normal, whatever the job's size."
            yield GaugeMetricFamily("relabel_queue_messages", what, length)

    def _of_disk(self, folder: Path | None) -> Iterator[Metric]:
        free = size = None
        try:
            if folder is not None:
                size, _, free = shutil.disk_usage(folder)
        except OSError:
            self._errors["disk"] += 1
        yield GaugeMetricFamily(
            "relabel_ledger_disk_free_bytes", "Room on the disk that RELABEL_METRICS__LEDGER_DISK names.", free
        )
        yield GaugeMetricFamily("relabel_ledger_disk_size_bytes", "Size of that disk.", size)
