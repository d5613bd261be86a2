"""A producer that dies in the middle, or is run twice: one job, and no row twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.job import JobState
from ledger.keys import JobKeys
from tests.harness.cluster import Cluster
from tests.harness.oracle import check_exact, cost_of
from tests.harness.producer_process import ProducerProcess
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until


@pytest.fixture
def producer(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., ProducerProcess]]:
    """Start producers; those still there at the end are killed."""
    producers: list[ProducerProcess] = []

    def start(*, rows: int, shard_rows: int) -> ProducerProcess:
        target = cluster.sandbox.base_url
        producers.append(ProducerProcess(cluster.redis.url, target, rows=rows, shard_rows=shard_rows, folder=tmp_path))
        producers[-1].ready()
        return producers[-1]

    yield start
    for started in producers:
        started.kill()


@pytest.mark.promise
async def test_a_submit_killed_in_the_middle_is_invisible_and_can_be_repeated(
    cluster: Cluster, producer: Callable[..., ProducerProcess]
) -> None:
    """Row 24: the job stays `submitting`; the same rows again replace it, and each is done once."""
    rows = PatchRows(500)
    await cluster.worker()
    cluster.sandbox.store.load(rows.before)
    killed = producer(rows=500, shard_rows=1)
    killed.go()

    async def half_stored() -> str | None:
        for job_id in map(bytes.decode, await cluster.ledger.redis.zrange("relabel:jobs", 0, -1)):
            if await cluster.ledger.redis.hlen(JobKeys(job_id).shards) > 16:
                return job_id
        return None

    left = await wait_until(half_stored, within=30, what="some shards are stored", every=0.0)
    killed.kill()
    assert left is not None
    job = await cluster.job(left)
    assert job is not None
    assert job.state is JobState.SUBMITTING

    # it may take 10 s until the dead producer's word has lapsed
    submitted = await cluster.submit(rows, load=False)

    assert not submitted.existed
    await cluster.finished(submitted.job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, submitted.job_id)
    assert cost_of(cluster.sandbox, rows).extra == 0
    assert await cluster.job(left) is None
    assert await cluster.ledger.redis.keys(f"*{left}*") == []


@pytest.mark.promise
async def test_two_submits_of_the_same_rows_at_the_same_instant_are_one_job(
    cluster: Cluster, producer: Callable[..., ProducerProcess]
) -> None:
    """Row 25: the second is told the first one's id, and nothing is sent twice."""
    rows = PatchRows(100)
    cluster.sandbox.store.load(rows.before)
    both = [producer(rows=100, shard_rows=10), producer(rows=100, shard_rows=10)]
    for one in both:
        one.go()

    first, second = (one.submitted() for one in both)

    assert first.job_id == second.job_id
    assert sorted([first.existed, second.existed]) == [False, True]
    await cluster.worker()
    await cluster.finished(first.job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, first.job_id)
    assert cost_of(cluster.sandbox, rows).extra == 0
