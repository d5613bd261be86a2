"""Two jobs at once: a completion is worked on by one of them at a time, and no key is lost."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ledger.claims import Claimant, GivenUp, Taken, claim_life_s, claim_of
from ledger.errors import LeaseLost
from ledger.keys import JobKeys, claim_key
from ledger.records import LEAST_LIFE_S, Record, Step
from ledger.row import Outcome
from ledger.shards import ReleaseAnswer

NUMBER = 60
SOMEBODY = Claimant("somebody", 60.0)


def many(harness, completion_id):
    """Store so many completions and give their ids."""
    ids = [f"{completion_id[:-3]}{n}" for n in range(100, 100 + NUMBER)]
    harness.sandbox.store.load({each: {"kept": "k"} for each in ids})
    return ids


async def test_two_jobs_of_the_same_ids_never_meet_and_lose_no_key(harness, completion_id):
    """Each sets a key of its own, in the same order at the same time, against a service that replaces."""
    harness.sandbox.configure(latency_s=0.03)
    ids = many(harness, completion_id)
    one = await harness.submit(*[(each, {"one": "1"}) for each in ids])
    two = await harness.submit(*[(each, {"two": "2"}) for each in ids])
    three = await harness.submit(*[(each, {"one": None, "three": "3"}) for each in reversed(ids)])

    await asyncio.gather(harness.turn(one), harness.turn(two), harness.turn(three))

    assert harness.sandbox.log.stats.overlaps == 0
    for each in ids:
        held = harness.sandbox.store.metadata(each)
        assert {"kept": "k", "two": "2", "three": "3"}.items() <= held.items()
    assert [(await harness.job(job_id)).counts.pending for job_id in (one, two, three)] == [0, 0, 0]
    for key in await harness.redis.keys("relabel:claim:*"):  # what is left are the records of the last writes
        assert (await harness.redis.get(key)).startswith(b"= ")
        assert await harness.redis.pttl(key) <= LEAST_LIFE_S * 1000


async def test_a_row_that_another_job_works_on_waits_at_the_end_of_its_shard(harness, completion_id, eventually):
    """The others go first; it is carried out once it is free."""
    ids = many(harness, completion_id)
    claim = claim_of(harness.sandbox.base_url, ids[0])
    await harness.ledger.claims.swap(SOMEBODY, take=[claim])
    job_id = await harness.submit(*[(each, {"k": "v"}) for each in ids])

    async def all_others_are_done():
        return (await harness.job(job_id)).counts.updated == NUMBER - 1

    async def free_it_when_the_others_are_done():
        await eventually(all_others_are_done)
        assert harness.applied(ids[0]) == 0
        await harness.ledger.claims.swap(SOMEBODY, give_up=[GivenUp(claim)])

    answer, _ = await asyncio.gather(harness.turn(job_id), free_it_when_the_others_are_done())

    assert answer is ReleaseAnswer.FINISHED
    assert harness.applied(ids[0]) == 1


async def test_a_turn_whose_time_is_up_hands_back_rows_that_are_still_anothers(harness, completion_id):
    """It does not wait for ever, and counts nothing as failed."""
    claim = claim_of(harness.sandbox.base_url, completion_id)
    await harness.ledger.claims.swap(SOMEBODY, take=[claim])
    job_id = await harness.submit((completion_id, {"k": "v"}))

    assert await harness.turn(job_id, seconds=0.3) is ReleaseAnswer.WAITING

    assert harness.sent() == []
    assert (await harness.job(job_id)).counts.pending == 1


async def test_a_claim_ends_by_itself_and_tells_nothing_of_the_id(harness, completion_id):
    """It outlives the last request of a dead worker; neither key nor value holds customer data."""
    claim = claim_of(harness.sandbox.base_url, completion_id)
    one, two = Claimant("one", 9.0), Claimant("two", 9.0)

    assert (await harness.ledger.claims.swap(one, take=[claim])).taken == [Taken(is_ours=True)]
    assert (await harness.ledger.claims.swap(one, take=[claim])).taken == [Taken(is_ours=True)]
    assert (await harness.ledger.claims.swap(two, give_up=[GivenUp(claim)], take=[claim])).taken == [
        Taken(is_ours=False)
    ]

    assert 0 < await harness.redis.pttl(claim_key(claim)) <= 9000
    assert completion_id not in claim_key(claim)
    assert await harness.redis.get(claim_key(claim)) == b"- one 1"


async def test_a_claim_of_release_one_is_anothers(harness, completion_id):
    """It holds an owner and no job, and ends by itself within seconds."""
    claim = claim_of(harness.sandbox.base_url, completion_id)
    await harness.redis.set(claim_key(claim), "host:12:0a1b2c3d", px=8000)
    claimant, _ = await claimant_of(harness, completion_id)

    swapped = await harness.ledger.claims.swap(claimant, give_up=[GivenUp(claim)], keep=[claim], take=[claim])

    assert swapped == ([False], [Taken(is_ours=False, blocked_by="")])


async def claimant_of(harness, completion_id, job_id=None):
    """Lease a job's only shard; give who claims by it, and the job."""
    job_id = job_id or await harness.submit((completion_id, {"k": "v"}))
    shard = await harness.lease(job_id)
    return Claimant(shard.owner, claim_life_s(60.0), job_id, 0), job_id


async def lose_the_lease(harness, job_id):
    """Let the lease run out, as of a worker that died or sleeps."""
    await harness.redis.zadd(JobKeys(job_id).leased, {"0": 1})
    await harness.ledger.shards.rescue(job_id)


async def test_the_next_worker_of_a_job_takes_its_claims_over_and_the_last_one_gets_none(harness, completion_id):
    """At once, and told so each time it asks; the one before has lost its lease and is refused."""
    claim = claim_of(harness.sandbox.base_url, completion_id)
    first, job_id = await claimant_of(harness, completion_id)
    await harness.ledger.claims.swap(first, take=[claim])
    await lose_the_lease(harness, job_id)
    second, _ = await claimant_of(harness, completion_id, job_id)

    for _ in range(2):
        taken = (await harness.ledger.claims.swap(second, take=[claim])).taken
        assert taken == [Taken(is_ours=True, taken_over=True)]
    for wanted in ({"keep": [claim]}, {"take": [claim]}, {"give_up": [GivenUp(claim)]}):
        with pytest.raises(LeaseLost):
            await harness.ledger.claims.swap(first, **wanted)
    assert (await harness.ledger.claims.swap(second, keep=[claim])).kept == [True]


async def test_another_job_waits_for_a_dead_workers_claim_and_says_for_which_job(harness, completion_id, eventually):
    """The request of the dead worker may still be running: nothing is sent until its time is over."""
    claim = claim_of(harness.sandbox.base_url, completion_id)
    dead, dead_job = await claimant_of(harness, completion_id)
    await harness.ledger.claims.swap(dead, take=[claim])
    await lose_the_lease(harness, dead_job)
    assert await harness.redis.pttl(claim_key(claim)) > 60_000
    job_id = await harness.submit((completion_id, {"k": "w"}))
    turn = asyncio.create_task(harness.turn(job_id))

    async def says_so():
        waits = (await harness.job(job_id)).waits
        return (waits.blocked, waits.blocked_by) == (1, dead_job)

    await eventually(says_so)
    assert harness.sent() == []
    await harness.redis.delete(claim_key(claim))  # as if its time were over

    assert await turn is ReleaseAnswer.FINISHED
    assert harness.sandbox.store.metadata(completion_id)["k"] == "w"


@pytest.mark.parametrize("journal", [True, False])
async def test_the_completion_of_a_write_that_may_still_run_stays_claimed_after_its_row(
    harness, completion_id, journal
):
    """The job's next worker settles the row; the dead worker's request may be applied later, so others still wait."""
    claim = claim_of(harness.sandbox.base_url, completion_id)
    job_id = await harness.submit((completion_id, {"team": "blue"}), mode="replace", journal=journal)
    dead, _ = await claimant_of(harness, completion_id, job_id)
    await harness.ledger.claims.swap(dead, take=[claim])
    if journal:
        await harness.journal(job_id, 0, {"team": "red"})
    await lose_the_lease(harness, job_id)

    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")
    assert await harness.redis.pttl(claim_key(claim)) > 30_000


async def test_a_row_that_a_dead_worker_only_claimed_is_free_again_with_its_end(harness, completion_id):
    """No image was kept, so no write had left."""
    job_id = await harness.submit((completion_id, {"team": "blue"}))
    dead, _ = await claimant_of(harness, completion_id, job_id)
    await harness.ledger.claims.swap(dead, take=[claim_of(harness.sandbox.base_url, completion_id)])
    await lose_the_lease(harness, job_id)

    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED

    assert (await harness.row(job_id)).outcome is Outcome.UNCHANGED
    assert await harness.redis.keys("relabel:claim:*") == []


async def test_a_row_handed_back_in_doubt_keeps_its_claim(harness, completion_id):
    """Its write got no answer and may be applied yet: another job must not go before it."""
    harness.api = {"timeout_s": 0.6}
    harness.fault("hang_after", "POST")
    job_id = await harness.submit((completion_id, {"k": "v"}))

    assert await harness.turn(job_id, seconds=0.2) is ReleaseAnswer.WAITING

    assert await harness.redis.exists(claim_key(claim_of(harness.sandbox.base_url, completion_id)))


async def test_a_completion_stays_claimed_whose_write_got_no_answer_before_the_next_one_did(harness, completion_id):
    """The first request may be applied yet, after what another job writes."""
    harness.fault("reset_after", "POST", times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}))

    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED

    assert (await harness.row(job_id)).outcome is Outcome.UPDATED
    assert await harness.redis.pttl(claim_key(claim_of(harness.sandbox.base_url, completion_id))) > 5_000


@pytest.mark.whole
async def test_claims_are_kept_while_requests_take_longer_than_a_claim_lives(harness, completion_id):
    """The keeper renews them: their life grows again and again, and never comes to its end."""
    harness.sandbox.configure(latency_s=2.5)
    job_id = await harness.submit((completion_id, {"k": "v"}))
    key = claim_key(claim_of(harness.sandbox.base_url, completion_id))
    lives = []

    async def watch():
        while not harness.applied(completion_id):
            lives.append(await harness.redis.pttl(key))
            await asyncio.sleep(0.1)

    await asyncio.gather(harness.turn(job_id), watch())

    begun = list(itertools.dropwhile(lambda life: life < 0, lives))
    seen = begun[:-1] if begun[-1] < 0 else begun  # the last look may come just after the row has ended
    assert min(seen) > 0
    assert sum(later > earlier for earlier, later in itertools.pairwise(seen)) >= 2


@pytest.mark.whole
@pytest.mark.parametrize("journal", [True, False])
async def test_a_row_whose_claim_was_lost_waits_for_it_and_reads_again(harness, completion_id, eventually, journal):
    """The journal's script refuses it, or the keeper's renewal without a journal: another job's change is kept."""
    harness.sandbox.configure(latency_s=1.5)
    key = claim_key(claim_of(harness.sandbox.base_url, completion_id))
    job_id = await harness.submit((completion_id, {"k": "v"}), journal=journal)
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: harness.sandbox.log.stats.in_flight)

    await harness.redis.set(key, "20261127-172335-90e7a1b2 somebody 1")
    harness.sandbox.store.load({completion_id: {"team": "theirs"}})
    await eventually(lambda: len(harness.sent("GET")) == 1)
    await says_blocked(harness, job_id, eventually)
    assert harness.sent("POST") == []
    harness.sandbox.store.load({completion_id: {"team": "theirs", "theirs": "t"}})
    await harness.redis.delete(key)

    assert await turn is ReleaseAnswer.FINISHED
    assert harness.sandbox.store.metadata(completion_id) == {"team": "theirs", "theirs": "t", "k": "v"}
    assert (await harness.row(job_id)).before == ({"team": "theirs", "theirs": "t"} if journal else None)


async def says_blocked(harness, job_id, eventually):
    """Wait until the job says that it waits for another one's claim."""

    async def says_so():
        return (await harness.job(job_id)).waits.blocked == 1

    await eventually(says_so)


# --- records of settled writes ---

RECORD = Record([Step(b"before", "a-job", 7)], b"after")


async def test_a_record_is_left_in_place_of_a_claim_and_given_to_who_takes_it(harness):
    """It comes with the claim, also when that is asked for again, and lives as long as it was to."""
    claims = harness.ledger.claims
    first, second = Claimant("first", 60, record_life_s=5), Claimant("second", 60)
    await claims.swap(first, take=["c"])
    await claims.swap(first, give_up=[GivenUp("c", RECORD)])
    assert 0 < await harness.redis.pttl(claim_key("c")) <= 5000

    for _ in range(2):
        swapped = await claims.swap(second, take=["c", "d"])
        assert swapped.taken == [Taken(is_ours=True, record=RECORD), Taken(is_ours=True)]
    assert (await claims.swap(second, keep=["c"])).kept == [True]
    assert (await claims.swap(first, take=["c"])).taken == [Taken(is_ours=False)]


async def test_who_wrote_nothing_puts_the_record_back_and_who_wrote_leaves_its_own(harness):
    """The old one's life goes on from where it was; without one the completion is just free."""
    claims = harness.ledger.claims
    one, two = Claimant("one", 60, record_life_s=5), Claimant("two", 60, record_life_s=500)
    await claims.swap(one, take=["c", "d"])
    await claims.swap(one, give_up=[GivenUp("c", RECORD), GivenUp("d")])
    assert not await harness.redis.exists(claim_key("d"))

    await claims.swap(two, take=["c"])
    await claims.swap(two, give_up=[GivenUp("c")])
    assert 0 < await harness.redis.pttl(claim_key("c")) <= 5000
    assert (await claims.swap(two, take=["c"])).taken[0].record == RECORD

    own = Record([*RECORD.steps, Step(b"after", "b-job", 0)], b"later")
    await claims.swap(two, give_up=[GivenUp("c", own)])
    assert 5000 < await harness.redis.pttl(claim_key("c")) <= 500_000
    assert (await claims.swap(one, take=["c"])).taken[0].record == own


async def test_a_claim_that_is_taken_over_keeps_the_record(harness, completion_id):
    """A worker died between its claim and its write: what it found is there for the next one."""
    job_id = await harness.submit((completion_id, {"k": "v"}))
    claims = harness.ledger.claims
    await claims.swap(SOMEBODY, take=["c"])
    await claims.swap(SOMEBODY, give_up=[GivenUp("c", RECORD)])
    dead = await harness.lease(job_id)
    await claims.swap(Claimant(dead.owner, 60, job_id), take=["c"])
    await harness.redis.hset(JobKeys(job_id).owners, "0", "next")

    for _ in range(2):
        taken = (await claims.swap(Claimant("next", 60, job_id), take=["c"])).taken
        assert taken == [Taken(is_ours=True, taken_over=True, record=RECORD)]


async def test_a_completion_is_free_only_once_the_outcome_of_its_row_is_stored(harness, completion_id):
    """A worker that dies in between would have the row sent again, over what the next job wrote meanwhile."""
    ids = [f"{completion_id[:-4]}{n}" for n in range(1000, 1200)]
    harness.sandbox.store.load({each: {} for each in ids})
    harness.sandbox.configure(latency_s=0.01)
    job_id = await harness.submit(*[(each, {"k": "v"}) for each in ids])
    claims = [claim_key(claim_of(harness.sandbox.base_url, each)) for each in ids]
    turn = asyncio.create_task(harness.turn(job_id, in_flight=8))

    free = unsettled = 0
    while not turn.done():
        async with harness.redis.pipeline(transaction=True) as pipe:
            held, outcomes = await pipe.mget(claims).get(JobKeys(job_id).outcomes).execute()
        for row, claim in enumerate(held):
            if claim is not None and claim.startswith(b"= "):
                free += 1
                unsettled += outcomes[row] == 0

    assert await turn is ReleaseAnswer.FINISHED
    assert (free > 0, unsettled) == (True, 0)
