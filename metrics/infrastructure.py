"""Metrics of the infrastructure: the workers and the ledger's server."""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily, Metric

from config.text import printable
from ledger.ledger import Ledger
from ledger.server_info import server_facts

MOST_WORKERS = 100
"""Workers with series of their own."""
WORKER_CHARS = 128


async def worker_families(ledger: Ledger) -> list[Metric]:
    """Return the numbers of living workers and of their children, and how often each worker was started of late."""
    workers = await ledger.workers.living()
    starts = GaugeMetricFamily(
        "relabel_worker_starts", "Starts of a worker within the last quarter of an hour.", labels=["worker"]
    )
    for name, number in sorted((await ledger.workers.starts()).items())[:MOST_WORKERS]:
        starts.add_metric([printable(name, WORKER_CHARS)], number)
    children = [worker.children for worker in workers if worker.takes_shards]
    return [
        GaugeMetricFamily("relabel_workers", "Workers that are alive.", len(workers)),
        GaugeMetricFamily(
            "relabel_worker_children", "Processes of all living workers that carry out rows.", sum(children)
        ),
        GaugeMetricFamily(
            "relabel_workers_key_refused",
            "Living workers that take no shards, as the API refuses their key.",
            sum(worker.key_refused for worker in workers),
        ),
        starts,
    ]


async def server_families(ledger: Ledger) -> list[Metric]:
    """Return the memory of the ledger's server, and whether it persists its data."""
    facts = await server_facts(ledger.redis)
    return [
        GaugeMetricFamily("relabel_ledger_memory_used_bytes", "Memory that Redis uses.", facts.memory_used),
        GaugeMetricFamily("relabel_ledger_memory_limit_bytes", "Its maxmemory; 0 is no limit.", facts.memory_limit),
        GaugeMetricFamily("relabel_ledger_evicts", "1 where Redis may drop jobs when memory is short.", facts.evicts),
        GaugeMetricFamily("relabel_ledger_append_only", "1 where Redis keeps an append-only file.", facts.append_only),
        GaugeMetricFamily(
            "relabel_ledger_disk_writes_ok", "1 where the last writes of Redis to disk went well.", facts.disk_writes_ok
        ),
        GaugeMetricFamily("relabel_ledger_disk_used_bytes", "Size of the append-only file of Redis.", facts.disk_used),
    ]
