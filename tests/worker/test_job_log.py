"""A change of the shared rate is in the audit logs of the jobs that share it, once and with the worker that saw it."""

from __future__ import annotations

import msgspec

from config.groups import RateSettings
from config.settings import Settings
from ratelimit.limiter import Limits
from ratelimit.shared_rate import RateNote, SharedRate, shared_limit
from worker.job_log import RateLog


async def test_a_rate_that_a_429_lowered_and_its_end_are_in_the_log_of_each_job(rig, completion_id):
    """Of two workers that see it, one writes; the log of a job for another API says nothing."""
    settings = Settings(_env_file=None, OPENAI_BASE_URL=rig.sandbox.base_url, rate=RateSettings(name="test"))
    ours = await rig.submit((completion_id, {"team": "green"}))
    other = (await rig.job(ours)).spec
    other = msgspec.structs.replace(other, job_id="other", target="http://127.0.0.1:1/v1")
    await rig.ledger.jobs.create(other)
    await rig.ledger.jobs.open(other.job_id)
    logs = [RateLog(rig.ledger, settings, worker=worker) for worker in ("celery@a", "celery@b")]
    for log in logs:
        await log.log_change()

    await Limits(rig.redis).acquire(1, shared_limit(settings))
    await Limits(rig.redis).pause(shared_limit(settings).key, None)
    for log in logs:
        await log.log_change()
    await SharedRate(rig.redis, shared_limit(settings)).set(20.0, None, RateNote("test", "a test"))
    for log in logs:
        await log.log_change()

    lines = await rig.ledger.audit.read(ours)
    assert [(line.who, line.verb) for line in lines] == [("celery@a", "rate")] * 2
    assert "after a 429 (configured 600/min)" in lines[0].why
    assert lines[1].why == "the shared rate is 1200/min again"
    assert await rig.ledger.audit.read(other.job_id) == []
