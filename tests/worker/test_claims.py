"""Two jobs at once: a completion is worked on by one of them at a time, and no key is lost."""

from __future__ import annotations

import asyncio
import itertools

from ledger.claims import CLAIM_S, claim_of
from ledger.keys import claim_key
from ledger.shards import ReleaseAnswer

NUMBER = 60


def many(rig, completion_id):
    """Store so many completions and give their ids."""
    ids = [f"{completion_id[:-3]}{n}" for n in range(100, 100 + NUMBER)]
    rig.sandbox.store.load({each: {"kept": "k"} for each in ids})
    return ids


async def test_two_jobs_of_the_same_ids_never_meet_and_lose_no_key(rig, completion_id):
    """Each sets a key of its own, in the same order at the same time, against a service that replaces."""
    rig.sandbox.configure(latency_s=0.03)
    ids = many(rig, completion_id)
    one = await rig.submit(*[(each, {"one": "1"}) for each in ids])
    two = await rig.submit(*[(each, {"two": "2"}) for each in ids])
    three = await rig.submit(*[(each, {"one": None, "three": "3"}) for each in reversed(ids)])

    await asyncio.gather(rig.turn(one), rig.turn(two), rig.turn(three))

    assert rig.sandbox.log.stats.overlaps == 0
    for each in ids:
        held = rig.sandbox.store.metadata(each)
        assert {"kept": "k", "two": "2", "three": "3"}.items() <= held.items()
    assert [(await rig.job(job_id)).counts.pending for job_id in (one, two, three)] == [0, 0, 0]
    assert await rig.redis.keys("relabel:claim:*") == []


async def test_a_row_that_another_job_works_on_waits_at_the_end_of_its_shard(rig, completion_id, eventually):
    """The others go first; it is carried out once it is free."""
    ids = many(rig, completion_id)
    claim = claim_of(rig.sandbox.base_url, ids[0])
    await rig.ledger.claims.swap("somebody", [], [claim])
    job_id = await rig.submit(*[(each, {"k": "v"}) for each in ids])

    async def all_others_are_done():
        return (await rig.job(job_id)).counts.updated == NUMBER - 1

    async def free_it_when_the_others_are_done():
        await eventually(all_others_are_done)
        assert rig.applied(ids[0]) == 0
        await rig.ledger.claims.swap("somebody", [claim], [])

    answer, _ = await asyncio.gather(rig.turn(job_id), free_it_when_the_others_are_done())

    assert answer is ReleaseAnswer.FINISHED
    assert rig.applied(ids[0]) == 1


async def test_a_turn_whose_time_is_up_hands_back_rows_that_are_still_anothers(rig, completion_id):
    """It does not wait for ever, and counts nothing as failed."""
    claim = claim_of(rig.sandbox.base_url, completion_id)
    await rig.ledger.claims.swap("somebody", [], [claim])
    job_id = await rig.submit((completion_id, {"k": "v"}))

    assert await rig.turn(job_id, seconds=0.3) is ReleaseAnswer.WAITING

    assert rig.sent() == []
    assert (await rig.job(job_id)).counts.pending == 1


async def test_a_claim_ends_by_itself_and_tells_nothing_of_the_id(rig, completion_id):
    """A dead worker's claims run out with its lease; neither key nor value holds customer data."""
    claim = claim_of(rig.sandbox.base_url, completion_id)

    assert await rig.ledger.claims.swap("one", [], [claim]) == [True]
    assert await rig.ledger.claims.swap("one", [], [claim]) == [True]
    assert await rig.ledger.claims.swap("two", [claim], [claim]) == [False]

    assert 0 < await rig.redis.pttl(claim_key(claim)) <= CLAIM_S * 1000
    assert completion_id not in claim_key(claim)
    assert await rig.redis.get(claim_key(claim)) == b"one"


async def test_claims_are_kept_while_requests_take_longer_than_a_claim_lives(rig, completion_id):
    """The keeper renews them: their life grows again and again, and never comes to its end."""
    rig.sandbox.configure(latency_s=2.5)
    job_id = await rig.submit((completion_id, {"k": "v"}))
    key = claim_key(claim_of(rig.sandbox.base_url, completion_id))
    lives = []

    async def watch():
        while not rig.applied(completion_id):
            lives.append(await rig.redis.pttl(key))
            await asyncio.sleep(0.1)

    await asyncio.gather(rig.turn(job_id), watch())

    begun = list(itertools.dropwhile(lambda life: life < 0, lives))
    seen = begun[:-1] if begun[-1] < 0 else begun  # the last look may come just after the row has ended
    assert min(seen) > 0
    assert sum(later > earlier for earlier, later in itertools.pairwise(seen)) >= 2
