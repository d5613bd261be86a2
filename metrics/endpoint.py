"""Answers scrapes over HTTP, or prints what a scrape would get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from config.settings import Settings
from metrics.collector import LedgerCollector


def exposition(settings: Settings) -> str:
    """Give the metrics in Prometheus' text format, as they stand now."""
    return generate_latest(_registry(settings)).decode()


@contextmanager
def endpoint(settings: Settings, *, address: str, port: int) -> Iterator[int]:
    """Answer scrapes at the address until the block ends; give the port, which 0 leaves to the system.

    Raises:
        OSError: the address cannot be listened on.

    """
    server, thread = start_http_server(port, address, registry=_registry(settings))
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _registry(settings: Settings) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(LedgerCollector(settings))
    return registry
