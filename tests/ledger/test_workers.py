"""Who is alive, and what each worker says of itself."""

from __future__ import annotations

import msgspec
import pytest

from ledger.keys import WORKER_FACTS, WORKERS
from ledger.workers import HEARTBEAT_KEEP_S, WORKERS_KEEP_S, Aside, WorkerFacts, of_release_one
from tests.ledger.conftest import LedgerHarness

FACTS = WorkerFacts(host="a", version="0.2.0", base_url="https://api.example/v1", key="1a2b3c4d", up_s=9.5)


async def test_a_worker_is_shown_with_what_it_said_last(harness: LedgerHarness) -> None:
    for up_s in (1.0, 3.0):
        await harness.ledger.workers.beat("w1@a", 2, msgspec.structs.replace(FACTS, up_s=up_s))

    (worker,) = await harness.ledger.workers.living()
    assert (worker.name, worker.children, worker.facts) == ("w1@a", 2, msgspec.structs.replace(FACTS, up_s=3.0))


@pytest.mark.parametrize("aside", [each for each in Aside if each])
async def test_a_worker_that_stands_aside_is_alive_and_wants_no_messages(harness: LedgerHarness, aside: Aside) -> None:
    await harness.ledger.workers.beat("w1@a", 4)
    await harness.ledger.workers.beat("w2@b", 2, WorkerFacts(aside=aside))

    assert await harness.ledger.workers.children() == [4]
    assert {worker.name: worker.takes_shards for worker in await harness.ledger.workers.living()} == {
        "w1@a": True,
        "w2@b": False,
    }


async def test_a_silent_worker_is_forgotten_with_what_it_said(harness: LedgerHarness) -> None:
    await harness.ledger.workers.beat("w1@a", 2)
    await harness.redis.zincrby(WORKERS, -HEARTBEAT_KEEP_S - 1, "w1@a|2")
    assert await harness.ledger.workers.living() == []

    await harness.ledger.workers.beat("w2@b", 2)

    assert await harness.redis.hkeys(WORKER_FACTS) == [b"w2@b|2"]
    assert 0 < await harness.redis.ttl(WORKER_FACTS) <= WORKERS_KEEP_S


async def test_a_worker_of_release_one_is_told_by_its_silence(harness: LedgerHarness) -> None:
    """It beats, and says nothing of itself; what somebody else wrote in its place is no sign of release one."""
    await harness.ledger.workers.beat("w1@a", 2)
    await harness.redis.zadd(
        WORKERS, {"old@b|2": await harness.ledger.jobs.now(), "odd@c|2": await harness.ledger.jobs.now()}
    )
    await harness.redis.hset(WORKER_FACTS, "odd@c|2", b"\xff")

    assert of_release_one(await harness.ledger.workers.living()) == ["old@b"]
