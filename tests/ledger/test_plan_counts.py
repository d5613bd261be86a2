"""What a plan has found: each closed shard is counted once, and what is kept of it is bounded."""

from __future__ import annotations

import pytest

from ledger.keys import JobKeys
from ledger.plan_counts import MOST_BYTES, MOST_CHANGES, MOST_OF_KEY, ValueChange

SET = ValueChange("dataset", None, "eval-2026")
MOVED = ValueChange("team", "blue", "red")
REMOVED = ValueChange("team", "blue", None)


@pytest.fixture
async def spec(harness):
    return await harness.submit(rows=6, shard_rows=2)


async def test_the_changes_of_shards_are_summed_up(harness, spec):
    plans = harness.ledger.plans

    await plans.add(spec.job_id, 0, "aa", {SET: 2, MOVED: 1})
    await plans.add(spec.job_id, 2, "cc", {SET: 1, REMOVED: 1})

    found = await plans.read(spec.job_id)
    assert (found.changes, found.others) == ({SET: 3, MOVED: 1, REMOVED: 1}, {})
    assert await plans.digests(spec) == ["aa", None, "cc"]


async def test_a_shard_is_counted_once_whoever_counts_it(harness, spec):
    """Two workers, of which one was slow."""
    for _ in range(2):
        await harness.ledger.plans.add(spec.job_id, 0, "aa", {SET: 2})

    assert (await harness.ledger.plans.read(spec.job_id)).changes == {SET: 2}


async def test_of_a_key_with_many_values_the_first_are_counted_each_and_the_others_together(harness, spec):
    many = {ValueChange("row", None, str(number)): 1 for number in range(MOST_OF_KEY + 7)}

    await harness.ledger.plans.add(spec.job_id, 0, "aa", many)
    await harness.ledger.plans.add(spec.job_id, 1, "bb", {SET: 2, ValueChange("row", None, "3"): 5})

    found = await harness.ledger.plans.read(spec.job_id)
    assert found.others == {"row": 7}
    assert (found.changes[SET], found.changes[ValueChange("row", None, "3")]) == (2, 6)
    assert (found.changes + found.others).total() == len(many) + 7


async def test_what_is_kept_is_bounded_whatever_the_keys_are(harness, spec):
    for shard in range(3):
        keys = {ValueChange(f"key-{shard}-{number}", None, "v"): 1 for number in range(6_000)}
        await harness.ledger.plans.add(spec.job_id, shard, "aa", keys)

    found = await harness.ledger.plans.read(spec.job_id)
    assert await harness.redis.hlen(JobKeys(spec.job_id).changes) <= 2 * MOST_CHANGES + 1
    assert found.changes.total() + found.others.total() == 18_000
    assert found.others[""] > 0


async def test_a_change_of_absurd_length_is_counted_with_the_others(harness, spec):
    """A server may answer with values that no client could have stored."""
    await harness.ledger.plans.add(spec.job_id, 0, "aa", {ValueChange("team", "x" * MOST_BYTES, "red"): 2, MOVED: 1})

    found = await harness.ledger.plans.read(spec.job_id)
    assert (found.changes, found.others) == ({MOVED: 1}, {"team": 2})


async def test_nothing_is_kept_of_a_job_that_is_gone(harness, spec):
    await harness.redis.delete(JobKeys(spec.job_id).job)

    await harness.ledger.plans.add(spec.job_id, 0, "aa", {SET: 2})
    await harness.ledger.plans.set_digest(spec.job_id, "aa")

    keys = JobKeys(spec.job_id)
    assert await harness.redis.exists(keys.job, keys.digests, keys.changes) == 0
