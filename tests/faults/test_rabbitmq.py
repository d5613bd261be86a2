"""RabbitMQ carries the messages, Redis keeps the ledger: what suits one broker alone must not break the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.cluster import Cluster, settings_for
from tests.harness.oracle import check_exact
from tests.harness.rabbitmq import HERE, RabbitMq
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HERE, reason="Debian's rabbitmq-server is not installed")]


@pytest.fixture
def rabbitmq(state_dir: Path) -> Iterator[RabbitMq]:
    with RabbitMq(state_dir) as server:
        yield server


async def test_a_job_goes_on_over_a_rabbitmq_that_died_and_forgot(cluster: Cluster, rabbitmq: RabbitMq) -> None:
    """Killed in the middle and back; no message goes through Redis, and the rescue sends again what was lost."""
    rows = PatchRows(600)
    cluster.app = cluster.new_app(settings_for(cluster.redis.url, cluster.sandbox.base_url, broker_url=rabbitmq.url))
    worker = await cluster.worker(broker_url=rabbitmq.url, rate={"per_minute": 3000})
    assert cluster.app.control.ping(timeout=5)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    rabbitmq.kill()
    await wait_until(lambda: "onnection to broker lost" in worker.said(), within=60, what="the worker notices")
    rabbitmq.start()

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    assert await cluster.ledger.redis.keys("relabel:celery:*") == []
    assert worker.exit_code() is None
