"""What a run leaves behind holds neither the key nor, in logs and messages, anybody's metadata."""

from __future__ import annotations

from tests.harness.cluster import KEY, Cluster
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

CANARY = "canary value 7f3a"


async def test_nothing_that_is_left_behind_holds_the_key_or_the_values(cluster: Cluster) -> None:
    """Row 34: logs, messages and every Redis key, after a job with failures of many kinds."""
    rows = PatchRows(60)
    for patch in rows.patches.values():
        patch["secret"] = CANARY
    cluster.sandbox.store.load(rows.before)
    leak = {"error": {"code": "invalid_value", "message": f"Bad key {KEY} in your request"}}
    cluster.sandbox.add_faults(
        [
            {"fault": "answer", "match": {"id": rows.ids[0]}, "answer": {"status": 400, "body": leak}},
            {"fault": "reset_after", "match": {"method": "POST"}, "times": 5},
            {"fault": "bad_body_html", "match": {"method": "GET"}, "times": 5},
        ]
    )
    job_id = await cluster.start_job(rows, load=False, shard_rows=10)
    redis = cluster.ledger.redis
    messages = b"".join(await redis.lrange("relabel:celery:relabel", 0, -1))
    assert job_id.encode() in messages or messages.startswith(b"{")
    worker = await cluster.worker(log_level="DEBUG")
    await cluster.finished(job_id)
    worker.children()[0].kill()
    await wait_until(lambda: "exited" in worker.said(), within=20, what="the worker logs a death")

    kept = [await redis.dump(key) or b"" for key in await redis.keys("*")]
    assert len(kept) > 5
    for left in (worker.said().encode(), messages, *kept):
        assert KEY.encode() not in left
    for told in (worker.said().encode(), messages):
        assert CANARY.encode() not in told
        assert rows.ids[5].encode() not in told
