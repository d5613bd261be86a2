"""Explains why no worker takes a job's rows, in the same words at every door."""

from __future__ import annotations

from collections.abc import Sequence

from config.text import printable
from ledger.ledger import Ledger
from ledger.workers import LivingWorker, of_release_one

NAMES_CHARS = 200
NO_WORKER = "no worker is alive"


def why_none_works(workers: Sequence[LivingWorker]) -> str:
    """Return why none of the living workers takes rows; '' where one does."""
    if any(worker.takes_shards for worker in workers):
        return ""
    return refused_keys(workers) or NO_WORKER


async def read_idle(ledger: Ledger) -> str:
    """Return why no worker takes rows just now; '' where one does."""
    return why_none_works(await ledger.workers.living())


def refused_keys(workers: Sequence[LivingWorker]) -> str:
    """Return which workers take no rows, as the API refuses their key; '' where there are none."""
    names = sorted(worker.name for worker in workers if worker.key_refused)
    said = printable(", ".join(names), NAMES_CHARS)
    return f"the API refuses the key of {said}, which takes no shards" if names else ""


def beside_release_one(workers: Sequence[LivingWorker]) -> str:
    """Return which workers keep the others from taking rows, as they are of release one; '' where none does."""
    old = of_release_one(workers)
    if not old or len(old) == len(workers):
        return ""
    return f"{printable(', '.join(old), NAMES_CHARS)} is of release one, beside which no later worker takes shards"
