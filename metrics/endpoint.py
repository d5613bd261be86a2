"""Answers scrapes of the ledger's metrics, or prints what a scrape would get."""

from __future__ import annotations

from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, generate_latest

from config.settings import Settings
from metrics.collector import LedgerCollector
from metrics.listener import listener


def exposition(settings: Settings) -> str:
    """Return the current metrics in Prometheus' text format."""
    return generate_latest(_registry(settings)).decode()


def endpoint(settings: Settings, *, address: str, port: int) -> AbstractContextManager[int]:
    """Answer scrapes at the address until the block ends; yields the port, which 0 leaves to the system.

    Raises:
        OSError: the address cannot be listened on.

    """
    return listener(_registry(settings), address=address, port=port, allowed_hosts=settings.metrics.allowed_hosts)


def _registry(settings: Settings) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(LedgerCollector(settings))
    return registry
