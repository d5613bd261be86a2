"""A ledger that came back empty is shown as such, and not as counters that fell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from config.settings import Settings
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.loss_detector import LossDetector
from metrics.endpoint import endpoint
from tests.ledger.conftest import LedgerHarness
from tests.metrics.scrape import Scrape, scrape


@pytest.fixture
async def harness(redis_url: str) -> AsyncIterator[LedgerHarness]:
    """A ledger and the steps taken at it."""
    async with open_ledger(redis_url) as redis:
        yield LedgerHarness(redis)


async def look(port: int) -> Scrape:
    """Scrape without holding up this loop."""
    return await asyncio.to_thread(scrape, port)


async def test_a_ledger_that_came_back_empty_is_shown_by_metrics_that_remember_it(
    harness: LedgerHarness, redis_url: str
):
    """They record what no worker saw; the process's next scrape shows it, and who found out."""
    settings = Settings.model_validate({"redis": {"url": redis_url}})
    spec = await harness.submit()
    with endpoint(settings, address="127.0.0.1", port=0) as port:
        before = await look(port)
        await harness.redis.flushdb()
        after = await look(port)

    assert before.value("relabel_losses", kind="job") == 0
    assert before.value("relabel_ledger_reset_timestamp_seconds") is None
    assert after.value("relabel_losses", kind="job") == 1
    assert after.value("relabel_losses", kind="night") == 0
    assert after.value("relabel_jobs_ended_total", state="lost") == 1
    assert after.value("relabel_ledger_reset_timestamp_seconds") > 0
    created = [one.value("relabel_ledger_created_timestamp_seconds") for one in (before, after)]
    assert created[0] < created[1]
    assert generation(before) != generation(after)
    assert "metrics@" in ((await harness.ledger.jobs.get(spec.job_id)).reason or "")


async def test_what_a_worker_found_is_shown_by_metrics_that_were_started_later(harness: LedgerHarness, redis_url: str):
    """An alert that rests on it outlives a restart of either."""
    await harness.submit()
    worker = LossDetector("w1@a")
    await worker.check(harness.ledger)
    await harness.redis.flushdb()
    await worker.check(Ledger(harness.redis))
    settings = Settings.model_validate({"redis": {"url": redis_url}})

    with endpoint(settings, address="127.0.0.1", port=0) as port:
        first = await look(port)

    assert first.value("relabel_losses", kind="job") == 1
    assert first.value("relabel_ledger_reset_timestamp_seconds") > 0


def generation(one: Scrape) -> str:
    """The generation that a scrape shows."""
    (family,) = [family for family in one.families if family.name == "relabel_ledger_info"]
    (sample,) = family.samples
    return str(sample.labels["generation"])
