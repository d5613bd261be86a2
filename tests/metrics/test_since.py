"""What alerts rest on: since when something is wrong, as the ledger knows it, however young the endpoint is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from ledger.connect import open_ledger
from ledger.job import Traffic
from ledger.job_spec import Kind, Mode
from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.settlements import Settlement
from ledger.workers import STARTS_OVER_S, WorkerFacts
from metrics.endpoint import exposition
from producer.selected import create_selected
from producer.submit import JobRequest
from ratelimit.breaker import CircuitBreaker, health_key
from ratelimit.limits import Limit, SharedLimit
from ratelimit.shared_rate import record_use
from tests.ledger.conftest import LedgerHarness
from tests.metrics.scrape import Scrape

LONG_AGO_S = 1000.0


@pytest.fixture
async def harness(redis_url: str) -> AsyncIterator[LedgerHarness]:
    """A ledger and the steps taken at it."""
    async with open_ledger(redis_url) as redis:
        yield LedgerHarness(redis)


@pytest.fixture
async def look(redis_url: str):
    """Return what an endpoint shows that has seen nothing before."""

    async def look(**metrics: Any) -> Scrape:
        settings = Settings.model_validate({"redis": {"url": redis_url}, "metrics": metrics})
        return Scrape(await asyncio.to_thread(exposition, settings))

    return look


async def test_a_paused_job_is_shown_by_its_id_since_when_and_why(harness: LedgerHarness, look) -> None:
    spec = await harness.submit()
    name = "relabel_job_paused_timestamp_seconds"
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="invalid_api_key", reason="whatever")
    await harness.redis.hset(JobKeys(spec.job_id).job, "paused_at", "1700000000.5")

    paused = await look()
    await harness.ledger.jobs.resume(spec.job_id, by="test")
    resumed = await look()

    labels = {"job_id": spec.job_id, "reason_code": "invalid_api_key"}
    assert paused.value(name, **labels) == 1700000000.5
    assert resumed.value(name, **labels) is None


async def test_a_running_job_is_shown_with_the_moment_of_its_last_row(harness: LedgerHarness, look) -> None:
    """Where none has ended since, with the moment at which it was resumed or submitted."""
    spec = await harness.submit()
    job, now = JobKeys(spec.job_id).job, await harness.ledger.jobs.now()
    name, labels = "relabel_job_progress_timestamp_seconds", {"job_id": spec.job_id}
    await harness.redis.hset(job, "submitted_at", now - LONG_AGO_S)
    submitted = await look()
    await harness.ledger.jobs.pause(spec.job_id, by="test", code="c", reason="r")
    paused = await look()
    await harness.ledger.jobs.resume(spec.job_id, by="test")
    resumed = await look()
    await harness.redis.hset(job, "running_at", now - LONG_AGO_S)
    shard = await harness.lease(spec, 0)
    await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UPDATED)], Traffic())
    settled = await look()

    assert submitted.value(name, **labels) == pytest.approx(now - LONG_AGO_S)
    assert paused.value(name, **labels) is None
    assert resumed.value(name, **labels) >= now
    assert settled.value(name, **labels) >= now


async def test_a_plan_whose_list_is_read_is_shown_with_the_moment_of_its_last_page(
    harness: LedgerHarness, look
) -> None:
    """So that the alert on a job without progress rests on it, too."""
    request = JobRequest("selection", Mode.MERGE, True, "https://api.example/v1", 100, 3600.0, kind=Kind.PLAN)
    job_id = await create_selected(request, b"{}", keys=[], oldest_first=False, ledger=harness.ledger)
    await harness.redis.hset(JobKeys(job_id).job, "read_at", "1700000000.5")

    shown = await look()

    assert shown.value("relabel_job_progress_timestamp_seconds", job_id=job_id) == 1700000000.5


async def test_an_endpoint_is_shown_as_failing_since_its_last_success(harness: LedgerHarness, look) -> None:
    """Of reads or of writes, whichever is longer ago; not where nobody has sent anything for minutes."""
    shared = SharedLimit("relabel:limit:abc", Limit(10.0, 1))
    await record_use(harness.redis, shared, endpoint="https://api.example/v1")
    breaker, health = CircuitBreaker(harness.redis, shared.key), health_key(shared.key)
    now = await harness.ledger.jobs.now()
    breaker.record(write=True, succeeded=False)
    breaker.record(write=False, succeeded=True)
    await breaker.row_at_fault(write=True)
    await harness.redis.hset(health, "write_since", now - LONG_AGO_S)

    failing = await look()
    await harness.redis.hset(health, "at", now - LONG_AGO_S)
    silent = await look()
    await harness.redis.hset(health, "at", now)
    breaker.record(write=True, succeeded=True)
    await breaker.row_at_fault(write=True)
    well = await look()

    seen = [
        one.value("relabel_endpoint_failing_seconds", endpoint="api.example", limit="abc")
        for one in (failing, silent, well)
    ]
    assert seen[0] >= LONG_AGO_S
    assert seen[1:] == [0, 0]


async def test_the_starts_of_a_worker_are_counted_for_a_quarter_of_an_hour(harness: LedgerHarness, look) -> None:
    """Each once, however often it beats; one that has run for longer is not counted again."""
    workers = harness.ledger.workers
    for start in ("a", "b", "c", "c"):
        await workers.beat("w1@a", 2, WorkerFacts(start=start, up_s=2.0))
    await workers.beat("w2@a", 2, WorkerFacts(start="d", up_s=STARTS_OVER_S - 1))
    await workers.beat("w3@a", 2, WorkerFacts(start="e", up_s=STARTS_OVER_S + 1))

    seen = await look()

    starts = {name: seen.value("relabel_worker_starts", worker=name) for name in ("w1@a", "w2@a", "w3@a")}
    assert starts == {"w1@a": 3, "w2@a": 1, "w3@a": None}


async def test_a_shard_whose_worker_died_is_counted(harness: LedgerHarness, look) -> None:
    spec = await harness.submit()
    before = await look()
    await harness.lease(spec, 0)
    await harness.expire_lease(spec, 0)
    await harness.shards.rescue(spec.job_id)

    after = await look()

    assert [one.value("relabel_shards_abandoned_total") for one in (before, after)] == [0, 1]


async def test_the_room_on_the_disk_of_redis_is_shown_where_its_folder_is_named(look, tmp_path: Path) -> None:
    """A folder that is not there is an error of the scrape, and no number."""
    unnamed, named, gone = await look(), await look(ledger_disk=tmp_path), await look(ledger_disk=tmp_path / "gone")

    names = ("relabel_ledger_disk_free_bytes", "relabel_ledger_disk_size_bytes")
    assert [unnamed.value(name) for name in names] == [None, None]
    assert 0 < named.value(names[0]) < named.value(names[1])
    assert [gone.value(name) for name in names] == [None, None]
    errors = [one.value("relabel_scrape_errors_total", source="disk") for one in (unnamed, named, gone)]
    assert errors == [0, 0, 1]
    assert named.value("relabel_ledger_disk_used_bytes") > 0
