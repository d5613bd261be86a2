"""Metrics of `relabel serve`: requests by route, streams, uploads, sign-ins. No label holds a path, an id or a name."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
OTHER = "other"
"""The label of a method that is not served, and of a path that leads nowhere: anybody may make up many of them."""
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
WAYS_IN = ("token", "form", "link")
"""How somebody signs in: by the token of a request, on the page, or by the link that the server printed."""


class RequestMetrics:
    """What one server has answered, and what is open there. Each process has its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "relabel_web_requests",
            "Requests that were answered, by route and class of the status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "relabel_web_request_duration_seconds",
            "Seconds until an answer began.",
            ["method", "route"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._streams = Gauge("relabel_web_streams", "Streams of events that are open.", registry=self.registry)
        self.uploads = Gauge("relabel_web_uploads", "Uploads that are under way.", registry=self.registry)
        self._rejected = Counter(
            "relabel_web_sign_ins_rejected",
            "Tokens and links that were not valid, by how they came.",
            ["by"],
            registry=self.registry,
        )
        for way in WAYS_IN:
            self._rejected.labels(way)

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; `route` is its template, None where the path leads nowhere."""
        labels = method if method in METHODS else OTHER, route or OTHER
        self._requests.labels(*labels, f"{status // 100}xx").inc()
        self._seconds.labels(*labels).observe(seconds)

    def rejected_sign_in(self, way: str) -> None:
        """Count a token or link that is not valid; `way` is one of `WAYS_IN`."""
        self._rejected.labels(way).inc()

    def count_streams(self, streams: Callable[[], int]) -> None:
        """Let scrapes ask how many streams are open."""
        self._streams.set_function(streams)
