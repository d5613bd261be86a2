"""A worker process's runtime, as the task drives it: from a message's two values to the next shards."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from concurrent.futures import Future

import msgspec
import pytest
from pydantic import SecretStr

from completions.target import target_of
from config.groups import ApiSettings, RateSettings, RedisSettings, WorkerSettings
from config.logs import TextFormatter
from config.settings import Settings
from ledger.connect import new_client
from ledger.job import JobState
from ledger.job_spec import Columns, JobSpec, Mode
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.row import Patch
from ledger.workers import WorkerFacts
from sandbox import Sandbox
from worker.runtime import Runtime
from worker.worker_key import Standby

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHp{n}" for n in range(100, 110)]


@pytest.fixture
def api():
    """A sandbox on a thread of its own, as a runtime has a loop of its own."""
    sandbox, end, ready = Sandbox(), asyncio.Event(), Future()
    sandbox.store.load({each: {} for each in IDS})

    async def serve():
        async with sandbox:
            ready.set_result(asyncio.get_running_loop())
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    loop = ready.result(60)
    yield sandbox
    loop.call_soon_threadsafe(end.set)
    thread.join(60)


def settings_for(url, base_url, **api):
    """Settings as a door reads them."""
    return Settings(
        _env_file=None,
        OPENAI_API_KEY=SecretStr("sk-test"),
        OPENAI_BASE_URL=base_url,
        redis=RedisSettings(url=SecretStr(url)),
        rate=RateSettings(per_minute=120_000, burst=100),
        worker=WorkerSettings(in_flight=8),
        api=ApiSettings(**api),
    )


def in_ledger(url, step):
    """Take a step in the ledger, on a loop of its own."""

    async def run():
        client = new_client(url)
        try:
            return await step(Ledger(client))
        finally:
            await client.aclose()

    return asyncio.run(run())


def submit(url, target, shard_rows=5):
    """Store a job for all completions."""
    spec = JobSpec(
        job_id=f"job-{secrets.token_hex(4)}",
        name="test",
        mode=Mode.MERGE,
        journal=True,
        target=target,
        columns=Columns("csv", "completion_id", ["completion_id", "k"]),
        rows=len(IDS),
        shards=-(-len(IDS) // shard_rows),
        shard_rows=shard_rows,
        rejected=0,
        folded=0,
        fingerprint="f",
        keep_s=600.0,
    )
    rows = [Patch(n, each, {"k": "v"}) for n, each in enumerate(IDS, 2)]
    bodies = [msgspec.msgpack.encode(rows[at : at + shard_rows]) for at in range(0, len(rows), shard_rows)]

    async def store(ledger):
        await ledger.job_store.create(spec)
        await ledger.job_store.store_shards(spec.job_id, 0, bodies)
        await ledger.job_store.open(spec.job_id)

    in_ledger(url, store)
    return spec.job_id


def job_of(url, job_id):
    """The job as it stands."""
    return in_ledger(url, lambda ledger: ledger.jobs.get(job_id))


@pytest.fixture
def open_runtime():
    """Open runtimes; they are closed at the end."""
    runtimes = []

    def start(settings, stopping=lambda: False, standby=None):
        runtimes.append(Runtime(settings, stopping=stopping, standby=standby))
        runtimes[-1].open()
        return runtimes[-1]

    yield start
    for runtime in runtimes:
        runtime.close()


def test_a_runtime_carries_out_a_job_shard_by_shard(redis_url, api, open_runtime):
    """One client for all shards; the job ends, and a message that comes again finds nothing to do."""
    runtime = open_runtime(settings_for(redis_url, api.base_url))
    job_id = submit(redis_url, api.base_url)

    assert runtime.run_shard(job_id, 0) == [1]
    assert runtime.run_shard(job_id, 1) == []
    assert runtime.run_shard(job_id, 1) == []
    assert runtime.failure == ""

    job = job_of(redis_url, job_id)
    assert (job.state, job.counts.updated) == (JobState.FINISHED, 10)
    assert len([entry for entry in api.log.entries if entry.method == "POST"]) == 10


@pytest.mark.parametrize(("fault", "code"), [("unauthorized", "invalid_api_key"), ("quota", "insufficient_quota")])
def test_a_run_that_the_api_stops_is_a_failure_until_the_next_one(redis_url, api, open_runtime, fault, code):
    """So that Flower shows it as one; the code is that of the paused job, and its log names the worker."""
    runtime = open_runtime(settings_for(redis_url, api.base_url), standby=Standby("w1@here"))
    job_id = submit(redis_url, api.base_url)
    api.add_faults(rules=[{"fault": fault}])

    runtime.run_shard(job_id, 0)

    job = job_of(redis_url, job_id)
    assert (job.state, job.reason_code, runtime.failure) == (JobState.PAUSED, code, code)
    answered = sum(entry.status == 429 for entry in api.log.entries)
    assert (job.traffic.throttled, job.traffic.requests) == (answered, len(api.log.entries))
    log = in_ledger(redis_url, lambda ledger: ledger.audit.read(job_id))
    assert [(each.who, each.verb) for each in log][-1] == ("w1@here", "pause")
    runtime.run_shard("gone", 0)
    assert runtime.failure == ""


def test_a_message_for_a_job_that_is_gone_is_no_error(redis_url, api, open_runtime):
    """Messages may outlive their jobs."""
    assert open_runtime(settings_for(redis_url, api.base_url)).run_shard("gone", 0) == []
    assert list(api.log.entries) == []


def test_a_job_for_another_api_is_paused_and_nothing_is_sent(redis_url, api, open_runtime):
    """A worker with other settings does not apply it to the wrong project; one that does may be starting at first."""
    job_id = submit(redis_url, "https://eu.api.example/v1")

    runtime = open_runtime(settings_for(redis_url, api.base_url))
    runtime.run_shard(job_id, 0)
    assert job_of(redis_url, job_id).state is JobState.RUNNING
    began = time.time() - 60
    in_ledger(redis_url, lambda ledger: ledger.redis.hset(JobKeys(job_id).job, "running_at", began))
    runtime.run_shard(job_id, 0)

    job = job_of(redis_url, job_id)
    assert (job.state, job.reason_code, job.counts.pending) == (JobState.PAUSED, "other_target", 10)
    assert runtime.failure == "other_target"
    assert list(api.log.entries) == []


def test_a_job_for_another_api_is_left_to_the_worker_that_calls_it(redis_url, api, open_runtime):
    """As where `run --sandbox` and `serve --run` share a private server: each carries out its own jobs."""
    target = "https://eu.api.example/v1"
    job_id = submit(redis_url, target)
    beat = WorkerFacts(base_url=target)
    in_ledger(redis_url, lambda ledger: ledger.workers.beat("w2@there", 1, beat))
    began = time.time() - 60
    in_ledger(redis_url, lambda ledger: ledger.redis.hset(JobKeys(job_id).job, "running_at", began))

    runtime = open_runtime(settings_for(redis_url, api.base_url))
    announced = runtime.run_shard(job_id, 0)

    job = job_of(redis_url, job_id)
    assert (job.state, job.counts.pending, runtime.failure) == (JobState.RUNNING, 10, "")
    assert 0 in announced
    assert list(api.log.entries) == []


def test_a_job_that_vanishes_under_a_lease_is_known_as_lost(redis_url, api, open_runtime):
    """Also one that no other process has seen: it was submitted and leased a moment before Redis came back empty."""
    api.configure(latency_s=1.5)
    job_id = submit(redis_url, api.base_url)

    async def empty(ledger):
        deadline = time.monotonic() + 60
        while not api.log.stats.in_flight:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await ledger.redis.flushdb()

    thread = threading.Thread(target=lambda: in_ledger(redis_url, empty))
    thread.start()
    announced = open_runtime(settings_for(redis_url, api.base_url)).run_shard(job_id, 0)
    thread.join(60)
    while api.log.stats.in_flight:  # the sandbox ends with its last answer
        thread.join(0.01)

    job = job_of(redis_url, job_id)
    assert (announced, job.state, job.counts.total) == ([], JobState.LOST, 10)
    assert f":{os.getpid()}" in (job.reason or "")


def test_a_job_whose_rows_are_gone_is_paused_as_lost(redis_url, api, open_runtime):
    """Nothing is guessed, nothing is sent."""
    job_id = submit(redis_url, api.base_url)
    in_ledger(redis_url, lambda ledger: ledger.redis.hdel(JobKeys(job_id).shards, "0"))

    open_runtime(settings_for(redis_url, api.base_url)).run_shard(job_id, 0)

    job = job_of(redis_url, job_id)
    assert (job.state, job.reason_code) == (JobState.PAUSED, "state_lost")
    assert list(api.log.entries) == []


def test_an_error_of_our_own_pauses_the_job_and_fails_no_row(redis_url, api, open_runtime, caplog):
    """Rows that no worker of this version understands are no rows that killed it; the log shows no value of theirs."""
    job_id = submit(redis_url, api.base_url)
    strange = msgspec.msgpack.encode([[2, IDS[0], {"k": ["canary"]}]] * 5)
    in_ledger(redis_url, lambda ledger: ledger.job_store.store_shards(job_id, 0, [strange]))

    assert open_runtime(settings_for(redis_url, api.base_url)).run_shard(job_id, 0) == []

    job = job_of(redis_url, job_id)
    assert (job.state, job.reason_code) == (JobState.PAUSED, "worker_error")
    assert "ValidationError" in job.reason
    assert job.counts.failed == 0
    told = "\n".join(TextFormatter().format(record) for record in caplog.records)
    assert "ledger/codec.py" in told
    assert "canary" not in told + caplog.text


def test_a_worker_that_ends_while_redis_is_away_comes_to_its_end(private_redis, api, open_runtime):
    """It cannot hand back; the lease runs out and another takes the shard."""
    url, stop = private_redis.ledger_url, threading.Event()
    api.configure(latency_s=0.3)
    job_id = submit(url, api.base_url)
    runtime = open_runtime(settings_for(url, api.base_url), stopping=stop.is_set)
    done = []
    thread = threading.Thread(target=lambda: done.append(runtime.run_shard(job_id, 0)))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not api.log.entries:
            assert time.monotonic() < deadline
            thread.join(0.01)
        in_ledger(url, lambda ledger: ledger.redis.config_set("min-replicas-to-write", 1))
        stop.set()
        thread.join(60)
        assert done == [[]]
    finally:
        in_ledger(url, lambda ledger: ledger.redis.config_set("min-replicas-to-write", 0))
        thread.join(60)


def test_a_call_is_made_as_the_settings_say(redis_url):
    """Profile, version, deadlines, key."""
    settings = settings_for(
        redis_url, "http://127.0.0.1:1/v1", auth="api-key", version="v", timeout_s=7, connect_timeout_s=2
    )
    target = target_of(settings, "sk-test")

    assert (target.base_url, target.secret) == ("http://127.0.0.1:1/v1", "sk-test")
    assert (target.auth, target.version, target.timeout_s, target.connect_timeout_s) == ("api-key", "v", 7, 2)
    assert "sk-test" not in repr(settings)
    assert "sk-test" not in repr(target)


def test_a_lease_that_ran_out_while_its_worker_lived_counts_as_no_crash(api, redis_url, open_runtime):
    """It could not reach Redis for a while: told by the worker itself, so that no row is failed as `worker_crash`."""
    api.configure(latency_s=1.5)
    job_id = submit(redis_url, api.base_url)
    keys = JobKeys(job_id)

    async def let_it_run_out(ledger):
        deadline = time.monotonic() + 60
        while not (await ledger.redis.zcard(keys.leased) and api.log.stats.in_flight):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await ledger.redis.zadd(keys.leased, {"0": 1})
        return await ledger.shards.rescue(job_id)

    rescued = []
    thread = threading.Thread(target=lambda: rescued.append(in_ledger(redis_url, let_it_run_out)))
    thread.start()
    open_runtime(settings_for(redis_url, api.base_url)).run_shard(job_id, 0)
    thread.join(60)

    assert rescued[0].workers_lost == 1
    assert in_ledger(redis_url, lambda ledger: ledger.redis.hget(keys.crashes, "0")) == b"0"
