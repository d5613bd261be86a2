"""Messages on the broker that nobody of ours sent: each is dropped, and no worker ends."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

from tasks.announce import announce
from tests.harness.cluster import Cluster
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

CELERY = "relabel:celery:"
QUEUE = f"{CELERY}relabel"
CANARY = "canary-7d3e"
JOB = "20260101-000000-00000000"
"""A job that is not there."""


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def changed(message: dict[str, Any], **parts: Any) -> str:
    """The message with parts of it replaced; one that is `...` is left out."""
    new = {name.replace("_", "-"): part for name, part in parts.items()}
    return json.dumps({name: part for name, part in (message | new).items() if part is not ...})


def malformed(message: dict[str, Any]) -> Iterator[str]:
    """Messages that no worker can carry out, each made of one that it could."""
    headers, properties, deep = message["headers"], message["properties"], "[" * 100_000
    yield from ("null", "[]", "7", f'"{CANARY}"', CANARY, deep, "\x00", '{"__type__":"uuid","__value__":"x"}')
    for body in (None, ..., 7, [], f"!{CANARY}", "", "é"):
        yield changed(message, body=body)
    for payload in (
        "null",
        "{}",
        "[]",
        f'"{CANARY}"',
        CANARY,
        "[1,2]",
        "[[],{},null]",
        "[7,{},{}]",
        deep,
        CANARY * 100_000,
    ):
        yield changed(message, body=coded(payload))
    for args in (
        [],
        [CANARY],
        [CANARY, CANARY],
        [None, None],
        [[], {}],
        [f"{CANARY}}}:*", 0],
        [CANARY, 0, 1],
        [CANARY, -1],
    ):
        yield changed(message, body=coded(json.dumps([args, {}, {}])))
    yield changed(message, body=coded(json.dumps([[], {"job_id": CANARY, "shard": 1}, {}])))
    yield changed(message, body=coded(json.dumps([[CANARY, 0], {}, {"callbacks": [{"task": CANARY}]}])))
    bomb = base64.b64encode(gzip.compress(b"[" * 50_000_000)).decode()
    yield changed(message, body=bomb, headers=headers | {"compression": "gzip"})
    for part in ("headers", "properties"):
        for wrong in (None, ..., [], {}, CANARY):
            yield changed(message, **{part: wrong})
    for name, wrong in (("delivery_tag", 7), ("delivery_info", None), ("delivery_info", {}), ("body_encoding", CANARY)):
        yield changed(message, properties=properties | {name: wrong})
    for content in (None, ..., CANARY, "application/x-python-serialize", 7):
        yield changed(message, content_type=content)
    for name, wrong in (("id", None), ("id", f"{CANARY}\n"), ("task", []), ("expires", CANARY), ("expires", {})):
        yield changed(message, headers=headers | {name: wrong})
    for task in ("celery.chord_unlock", "celery.backend_cleanup", f"relabel.{CANARY}", "os.system"):
        yield changed(message, headers=headers | {"task": task})


def odd(message: dict[str, Any]) -> Iterator[str]:
    """Messages with headers that are not ours; a worker that heeded them would wait, end or log them."""
    for name in message["headers"].keys() - {"id", "task", "expires"}:
        for wrong in ([], {}, 7.5, CANARY, {CANARY: CANARY}):
            yield changed(message, headers=message["headers"] | {name: wrong})
    yield changed(message, headers=message["headers"] | {"eta": "2999-01-01T00:00:00+00:00"})


async def test_messages_that_are_not_ours_are_dropped_and_end_no_worker(cluster: Cluster) -> None:
    """None is put back to end the next worker, none is quoted in the log, and jobs go on."""
    announce(cluster.app, JOB, [0])
    message = json.loads(cluster.redis.admin.rpop(QUEUE))
    dropped = list(malformed(message))
    worker = await cluster.worker()

    for text in (*dropped, *odd(message)):
        cluster.redis.admin.lpush(QUEUE, text)
    for text in dropped:
        cluster.redis.admin.publish(f"/0.{CELERY}celery.pidbox", text)
    rows = PatchRows(100)
    job_id = await cluster.start_job(rows)
    await cluster.finished(job_id)

    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    await wait_until(
        lambda: not cluster.redis.admin.exists(QUEUE, f"{CELERY}unacked"), within=60, what="all are dealt with"
    )
    assert worker.said().count("broker message dropped") >= len(dropped)
    assert CANARY not in worker.said()
    assert worker.exit_code() is None
    assert cluster.app.control.ping(timeout=5)
