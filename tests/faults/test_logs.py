"""What a worker logs while everything goes wrong: each event once, with its fields, and nothing of a row."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from typing import Any

import pytest

from ratelimit.limits import Limit, SharedLimit, limit_key
from ratelimit.shared_rate import RateNote, SharedRate
from tests.faults.conftest import StartCluster
from tests.harness.cluster import KEY, Cluster
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.harness.worker_process import WorkerProcess

VALUE, KEPT = "canary value 41d8", "canary before 9be2"
ROWS, SHARDS = 600, 6
PROCESSES = 3
"""The worker's main process and its two children, each of which logs the outage that it meets."""
RATE = {"per_minute": 1200}
"""Slow enough that the job outlasts all that is done to it."""
REFUSAL = {"status": 429, "headers": {"retry-after": "1"}, "body": {"error": {"code": "rate_limit_exceeded"}}}


def canary_rows(number: int) -> PatchRows:
    """Rows whose values, new and old, can be told from anything else."""
    rows = PatchRows(number)
    for completion_id, patch in rows.patches.items():
        patch["note"] = VALUE
        rows.before[completion_id]["kept"] = KEPT
    return rows


def check_private(said: str, rows: PatchRows) -> None:
    """Nothing of a row, and no key, is in the log."""
    assert [word for word in (KEY, VALUE, KEPT, *rows.ids) if word in said] == []


def events(worker: WorkerProcess) -> list[dict[str, Any]]:
    """The lines of a log, each of which must be an event in JSON."""
    return [json.loads(line) for line in worker.said().splitlines()]


async def tells(worker: WorkerProcess, event: str, *, number: int = 1) -> list[dict[str, Any]]:
    """Wait until the log has so many lines of the event; give them."""

    def found() -> list[dict[str, Any]]:
        # the last line may be half written just now
        lines = [json.loads(line) for line in worker.said().splitlines(keepends=True) if line.endswith("\n")]
        lines = [line for line in lines if line["event"].startswith(event)]
        return lines if len(lines) >= number else []

    return await wait_until(found, within=60, what=f"the log tells {event!r}: {worker.said()[-3000:]}")


@pytest.mark.promise
async def test_every_line_is_json_and_tells_what_happens(start_cluster: StartCluster) -> None:
    """A killed child, a pause, a 429, failures, a Redis that goes away: one line an event, and each line an event."""
    rows = canary_rows(ROWS)
    cluster = await start_cluster(latency_s=0.05)
    worker = await cluster.worker(rate=RATE, options=("--without-mingle", "--without-gossip", "--log-format", "json"))
    job_id = await cluster.start_job(rows, shard_rows=ROWS // SHARDS)
    await cluster.settled(job_id, 20)

    worker.children()[0].send_signal(signal.SIGKILL)
    await _pause_and_resume(cluster, worker, job_id)
    await _slow_down(cluster, worker)
    await _fail_for_a_while(cluster, worker)
    await tells(worker, "shards rescued")
    await _lose_redis(cluster, worker)
    _refuse(cluster, rows.ids[-1])
    await _speed_up(cluster, worker)
    await cluster.finished(job_id)
    await tells(worker, "job finished")
    worker.send(signal.SIGTERM)
    await wait_until(lambda: worker.exit_code() is not None, within=30, what="the worker has ended")

    lines = events(worker)
    check_private(worker.said(), rows)
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert {"level", "logger", "event"} <= line.keys()
    _check_shards(lines, job_id)
    _check_once(lines, job_id)
    assert any(re.match(r"Task relabel.apply_shard\[.*\] succeeded", line["event"]) for line in lines)
    assert any("traceback" in line for line in lines)


async def _pause_and_resume(cluster: Cluster, worker: WorkerProcess, job_id: str) -> None:
    await cluster.ledger.jobs.pause(job_id, by="test", code="paused", reason=f"{VALUE} looks wrong")
    assert [line["reason"] for line in await tells(worker, "job paused")] == ["paused"]
    await cluster.ledger.jobs.resume(job_id, by="test")
    await tells(worker, "job resumed")


async def _slow_down(cluster: Cluster, worker: WorkerProcess) -> None:
    cluster.sandbox.add_faults([{"fault": "answer", "answer": REFUSAL, "times": 1}])
    (lowered,) = await tells(worker, "rate lowered")
    assert lowered["per_minute"] < lowered["asked_per_minute"] == RATE["per_minute"]


async def _speed_up(cluster: Cluster, worker: WorkerProcess) -> None:
    key = limit_key(cluster.sandbox.base_url, KEY, None, None)
    await SharedRate(cluster.ledger.redis, SharedLimit(key, Limit.per_minute(RATE["per_minute"]))).set(
        1000.0, None, RateNote("test", "a test")
    )
    (normal,) = await tells(worker, "rate as asked for again")
    assert normal["per_minute"] == 60_000


async def _fail_for_a_while(cluster: Cluster, worker: WorkerProcess) -> None:
    cluster.sandbox.add_faults([{"fault": "error_500"}])
    await tells(worker, "breaker opened")
    cluster.sandbox.faults.clear()
    await tells(worker, "breaker closed")


async def _lose_redis(cluster: Cluster, worker: WorkerProcess) -> None:
    cluster.redis.kill()
    await tells(worker, "Redis cannot be reached")
    await asyncio.to_thread(cluster.redis.start)
    await cluster.reconnect()
    await tells(worker, "Redis is back")


def _refuse(cluster: Cluster, completion_id: str) -> None:
    body = {"error": {"code": "invalid_value", "message": f"{completion_id} cannot hold {VALUE} with {KEY}"}}
    answer = {"status": 400, "body": body}
    cluster.sandbox.add_faults(
        [{"fault": "answer", "match": {"id": completion_id, "method": "POST"}, "answer": answer}]
    )


def _check_shards(lines: list[dict[str, Any]], job_id: str) -> None:
    ended = [line for line in lines if line["event"] == "shard ended"]
    assert {line["job"] for line in ended} == {job_id}
    assert {line["shard"] for line in ended} == set(range(SHARDS))
    assert sum(line["failed"] for line in ended) == 1
    assert sum(line["throttled"] for line in ended) == 1
    assert all(line["requests"] >= line["updated"] + line["retries"] for line in ended)
    leased = [line for line in lines if line["event"] == "shard leased"]
    assert [line["rows"] for line in leased if line["shard"] == 5][:1] == [100]


def _check_once(lines: list[dict[str, Any]], job_id: str) -> None:
    told = [line["event"] for line in lines if line.get("job") == job_id and line["event"].startswith("job ")]
    assert told == ["job opened", "job paused", "job resumed", "job finished"]
    (finished,) = [line for line in lines if line["event"] == "job finished"]
    assert (finished["failed"], finished["pending"], finished["total"]) == (1, 0, ROWS)
    assert [line["event"] for line in lines if line["logger"] == "tasks.logs"] == ["worker started", "worker stopped"]
    back = [line["seconds"] for line in lines if line["event"] == "Redis is back"]
    assert 1 <= len(back) <= PROCESSES
    assert min(back) > 0
    (started,) = [line for line in lines if line["event"] == "worker started"]
    assert (started["children"], started["settings"]["rate"]["per_minute"]) == (2, RATE["per_minute"])


async def test_lines_for_people_tell_the_same(cluster: Cluster) -> None:
    """The text format: time, level, logger, event, and the fields as words."""
    rows = canary_rows(40)
    worker = await cluster.worker()

    job_id = await cluster.start_job(rows, shard_rows=20)

    await cluster.finished(job_id)
    await wait_until(lambda: "job finished" in worker.said(), within=20, what="the end is told")
    said = worker.said()
    check_private(said, rows)
    stamp = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    worker\.\w+: "
    ended = f"shard ended job={job_id} shard=1 seconds=[0-9.]+ updated=20 unchanged=0 failed=0 drifted=0 would_change=0"
    assert re.search(f"{stamp}job opened job={job_id} kind=file mode=merge rows=40 shards=2$", said, re.MULTILINE)
    assert re.search(f"{stamp}{ended} requests=40 retries=0 throttled=0 state=(closed|finished)$", said, re.MULTILINE)
