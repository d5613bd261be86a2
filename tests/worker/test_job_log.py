"""A change of the shared rate is in the audit logs of the jobs that share it, once and with the worker that saw it."""

from __future__ import annotations

import msgspec

from config.groups import RateSettings
from config.settings import Settings
from ratelimit.limits import Limits
from ratelimit.shared_rate import RateNote, SharedRate, shared_limit
from worker.job_log import RateLog


async def test_a_rate_that_a_429_lowered_and_its_end_are_in_the_log_of_each_job(harness, completion_id):
    """Of two workers that see it, one writes; the log of a job for another API says nothing."""
    settings = Settings(_env_file=None, OPENAI_BASE_URL=harness.sandbox.base_url, rate=RateSettings(name="test"))
    ours = await harness.submit((completion_id, {"team": "green"}))
    other = (await harness.job(ours)).spec
    other = msgspec.structs.replace(other, job_id="other", target="http://127.0.0.1:1/v1")
    await harness.ledger.job_store.create(other)
    await harness.ledger.job_store.open(other.job_id)
    logs = [RateLog(harness.ledger, settings, worker=worker) for worker in ("celery@a", "celery@b")]
    for log in logs:
        await log.log_change()

    await Limits(harness.redis).acquire(1, shared_limit(settings))
    await Limits(harness.redis).pause(shared_limit(settings).key, None)
    for log in logs:
        await log.log_change()
    await SharedRate(harness.redis, shared_limit(settings)).set(20.0, None, RateNote("test", "a test"))
    for log in logs:
        await log.log_change()

    lines = await harness.ledger.audit.read(ours)
    assert [(line.who, line.verb) for line in lines] == [("celery@a", "rate")] * 2
    assert "after a 429 (configured 600/min)" in lines[0].why
    assert lines[1].why == "the shared rate is 1200/min again"
    assert await harness.ledger.audit.read(other.job_id) == []
