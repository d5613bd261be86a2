"""When failures are too many: a share of the rows that ended, or a number of them."""

from __future__ import annotations

import pytest

from ledger.failures import FailureLimit, past_limit
from ledger.job import JobState
from ledger.keys import JobKeys


@pytest.mark.parametrize(
    ("limit", "failed", "settled", "passed"),
    [
        ("5%", 6, 100, True),
        ("5%", 5, 100, False),
        ("5%", 99, 99, False),
        ("0.5%", 6, 1000, True),
        ("0%", 1, 100, True),
        ("0%", 0, 100, False),
        ("20", 21, 100, True),
        ("20", 20, 1000, False),
        ("20", 60, 60, False),
        ("0", 1, 100, True),
    ],
)
def test_a_limit_is_passed_once_enough_rows_have_ended(limit, failed, settled, passed):
    """More than the share or the number, and at least a hundred rows."""
    assert FailureLimit.parse(limit).is_passed(failed, settled) is passed


@pytest.mark.parametrize("text", ["", "%", "five", "-1", "101%", "1.5", "5 %x", "1e9"])
def test_what_is_neither_a_share_nor_a_number_is_refused(text):
    """So that a typo does not switch the limit off."""
    with pytest.raises(ValueError):  # noqa: PT011 - its message is the text itself
        FailureLimit.parse(text)


async def test_failures_that_were_known_at_the_resume_do_not_count(desk, redis):
    """The limit starts anew, or a resumed job would pause at its next failure."""
    spec = await desk.submit(600, 100, max_failures="5%")
    counts = JobKeys(spec.job_id).counts
    await redis.hset(counts, mapping={"failed": 30, "updated": 170})
    assert await past_limit(redis, spec) == (30, 200)

    await desk.ledger.jobs.pause(spec.job_id, code="x", reason="x")
    await desk.ledger.jobs.resume(spec.job_id)
    assert await past_limit(redis, spec) is None

    await redis.hset(counts, mapping={"failed": 36, "updated": 264})
    assert await past_limit(redis, spec) == (6, 100)
    assert await desk.state(spec) is JobState.RUNNING


async def test_without_a_limit_nothing_is_too_much(desk, redis):
    """Nothing is read."""
    spec = await desk.submit()

    assert await past_limit(redis, spec) is None
