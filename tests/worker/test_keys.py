"""A key that changes: read again once for all that were refused, and what a worker does whose key stays refused."""

from __future__ import annotations

import asyncio
import time

import pytest

from completions.client import open_api
from completions.errors import KeyRefused, StopJob
from completions.target import Target
from config.errors import KeyUnavailable
from ledger.job import JobState
from ledger.workers import Aside, WorkerFacts
from tests.harness.wait import wait_until
from tests.harness.worker_harness import KEY, WorkerHarness
from worker.worker_key import Standby, WorkerKey

NEW_KEY = "sk-canary-second-9876543210"
IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHp{number:03}" for number in range(40)]


class Keeper:
    """A place that keeps the key; counts how often it was read."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.reads = 0
        self.slow_s = 0.0

    def read(self) -> str:
        self.reads += 1
        time.sleep(self.slow_s)
        if not self.key:
            raise KeyUnavailable("the command ended with exit code 1.")
        return self.key


@pytest.fixture
async def rotated(harness: WorkerHarness) -> WorkerHarness:
    """A ledger and a sandbox that takes the new key alone, while workers hold the old one."""
    harness.sandbox.store.load({completion_id: {} for completion_id in IDS})
    harness.sandbox.configure(api_key=NEW_KEY)
    return harness


async def job_of(harness: WorkerHarness) -> str:
    return await harness.submit(*((completion_id, {"k": "v"}) for completion_id in IDS))


async def test_all_requests_that_were_refused_share_one_reading(rotated):
    """Twenty at once: the key is read once, and each is sent once more."""
    keeper = Keeper(NEW_KEY)
    rotated.read_key = keeper.read
    job_id = await job_of(rotated)

    await rotated.turn(job_id, in_flight=20)

    assert (await rotated.job(job_id)).counts.updated == len(IDS)
    assert keeper.reads == 1
    refused = [entry for entry in rotated.sent() if entry.status == 401]
    assert 1 <= len(refused) <= 20
    assert len(rotated.sent()) == len(refused) + 2 * len(IDS)
    job = await rotated.job(job_id)
    assert (job.traffic.requests, job.traffic.retries) == (len(rotated.sent()), len(refused))


@pytest.mark.parametrize("key", [KEY, "sk-also-wrong-0123456789", ""])
async def test_a_key_that_stays_refused_pauses_the_job_and_names_the_worker(rotated, key):
    """The same key, another wrong one, or none to be had; no row fails, and each key is read again once."""
    keeper = Keeper(key)
    rotated.read_key = keeper.read
    rotated.worker_key = WorkerKey(rotated.ledger, Standby("w1@here"), endpoint="e")
    job_id = await job_of(rotated)

    await rotated.turn(job_id, in_flight=20)

    job = await rotated.job(job_id)
    assert (job.state, job.reason_code, job.counts.failed) == (JobState.PAUSED, "invalid_api_key", 0)
    assert "w1@here" in (job.reason or "")
    assert "canary" not in (job.reason or "")
    assert keeper.reads <= 3  # requests that left after a reading have the key read once more
    assert len(rotated.sent()) <= 40


async def test_a_worker_whose_key_is_refused_stands_aside_where_anothers_is_accepted(rotated):
    """The shard goes back untouched and the job goes on; its own name in the record does not count."""
    standby = Standby("w1@here")
    rotated.worker_key = WorkerKey(rotated.ledger, standby, endpoint="e")
    await rotated.ledger.accepted_keys.note("e", "w1@here")
    await rotated.ledger.accepted_keys.note("other", "w3@there")
    assert not await rotated.ledger.accepted_keys.elsewhere("e", "w1@here", within_s=60)
    await rotated.ledger.accepted_keys.note("e", "w2@there")
    job_id = await job_of(rotated)

    assert await rotated.turn(job_id) == "waiting"

    job = await rotated.job(job_id)
    assert (job.state, job.counts.pending, standby.is_on) == (JobState.RUNNING, len(IDS), True)
    assert await rotated.redis.ttl("relabel:accepted:e") > 0


async def test_the_last_of_the_workers_whose_keys_are_refused_pauses_the_job(rotated):
    """As when one key that all of them share is revoked: none stands aside for one that is refused as well."""
    standbys = [Standby("w1@here"), Standby("w2@there")]
    for standby in standbys:
        await rotated.ledger.accepted_keys.note("e", standby.worker)
    states = []
    job_id = await job_of(rotated)

    for standby in standbys:
        rotated.worker_key = WorkerKey(rotated.ledger, standby, endpoint="e")
        await rotated.turn(job_id)
        states.append((standby.is_on, (await rotated.job(job_id)).state))

    assert states == [(True, JobState.RUNNING), (False, JobState.PAUSED)]


@pytest.mark.whole
async def test_a_turn_records_that_its_key_is_accepted(rotated):
    """While it goes on, so that others with a wrong key stand aside within a second or two."""
    rotated.sandbox.configure(api_key=KEY, latency_s=0.6)
    rotated.worker_key = WorkerKey(rotated.ledger, Standby("w1@here"), endpoint="e")
    job_id = await job_of(rotated)

    await rotated.turn(job_id, in_flight=8)

    assert await rotated.ledger.accepted_keys.elsewhere("e", "w2@there", within_s=60)


async def test_a_heartbeat_tells_that_a_worker_takes_no_shards(harness):
    """It counts as alive, and not as one whose children want messages."""
    await harness.ledger.workers.beat("w1@here", 4)
    await harness.ledger.workers.beat("w2@there", 2, WorkerFacts(aside=Aside.KEY_REFUSED))
    assert {(worker.name, worker.key_refused) for worker in await harness.ledger.workers.living()} == {
        ("w1@here", False),
        ("w2@there", True),
    }
    assert await harness.ledger.workers.children() == [4]

    await harness.ledger.workers.beat("w2@there", 2)
    assert sorted(await harness.ledger.workers.children()) == [2, 4]


async def test_a_missing_scope_is_no_wrong_key(harness):
    """Reading it again would not help: what the key may do has to be changed."""
    keeper = Keeper(NEW_KEY)
    message = "You have insufficient permissions for this operation. Missing scopes: api.x."
    harness.fault(
        "answer",
        answer={"status": 401, "body": {"error": {"message": message, "code": None, "type": None, "param": None}}},
    )
    async with open_api(Target(harness.sandbox.base_url, KEY), in_flight=1, read_key=keeper.read) as api:
        with pytest.raises(StopJob) as caught:
            await api.read(IDS[0], request_name="1")

    assert not isinstance(caught.value, KeyRefused)


async def test_a_reading_counts_for_all_requests_sent_before_its_end(rotated):
    """Also for those that were refused after it: only a request sent with the newest key has it read again."""
    keeper = Keeper(KEY)
    async with open_api(Target(rotated.sandbox.base_url, KEY), in_flight=8, read_key=keeper.read) as api:

        async def refusal() -> KeyRefused:
            with pytest.raises(KeyRefused) as caught:
                await api.read(IDS[0], request_name="1")
            return caught.value

        first, late = await refusal(), await refusal()
        assert await asyncio.gather(*(api.credential.renew(first) for _ in range(10))) == [False] * 10
        assert (keeper.reads, await api.credential.renew(late), keeper.reads) == (1, False, 1)

        keeper.key, keeper.slow_s = NEW_KEY, 0.5
        refused = await refusal()
        reading = asyncio.create_task(api.credential.renew(refused))
        await wait_until(lambda: keeper.reads == 2, within=30, what="the key is being read")
        amid = await refusal()  # sent with the old key while the new one was read
        assert await asyncio.gather(reading, api.credential.renew(amid)) == [True, True]
        assert (keeper.reads, await api.credential.renew(first)) == (2, True)
        assert (await api.read(IDS[0], request_name="2")).metadata == {}
