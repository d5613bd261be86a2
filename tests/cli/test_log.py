"""`relabel log`: what people and workers did to a job, as it is read at 80 columns."""

from __future__ import annotations

import json

from ledger.keys import JobKeys

CSV = "id,k\na,1\nb,2\n"


async def test_a_reason_stands_on_the_line_or_whole_below_it(make_job, ledger, relabel):
    """No line is longer than the terminal, and no word is broken."""
    job = await make_job(CSV)
    reason = "You exceeded your current quota, please check your plan and billing details (HTTP 429)"
    await ledger.jobs.pause(job.job_id, by="host:12", code="insufficient_quota", reason=reason)
    await ledger.jobs.set_rate(job.job_id, 30.0, by="ada@laptop", why="30/min")
    await ledger.jobs.resume(job.job_id, by="ada@laptop")
    entries = await ledger.redis.lrange(JobKeys(job.job_id).audit, 0, -1)
    await ledger.redis.delete(JobKeys(job.job_id).audit)
    for entry in entries:
        fixed = json.dumps(json.loads(entry) | {"at": 1_795_000_000.25})
        await ledger.redis.rpush(JobKeys(job.job_id).audit, fixed)

    ended = await relabel("log", job.job_id)

    assert ended.out.splitlines() == [
        "2026-11-18 11:06:40 UTC  host:12  pause",
        "  You exceeded your current quota, please check your plan and billing details",
        "  (HTTP 429)",
        "2026-11-18 11:06:40 UTC  ada@laptop  rate  30/min",
        "2026-11-18 11:06:40 UTC  ada@laptop  resume",
        "  was paused, insufficient_quota: You exceeded your current quota, please check",
        "  your plan and billing details (HTTP 429); rows: open 2",
    ]
