"""Metrics of the infrastructure: the workers and the ledger's server."""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily, Metric

from ledger.ledger import Ledger
from ledger.server_info import server_facts


async def worker_families(ledger: Ledger) -> list[Metric]:
    """Return the numbers of living workers and of their children."""
    workers = await ledger.workers.living()
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
    ]
