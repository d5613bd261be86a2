"""Requests with a key: whenever a server dies at one, the request that is sent again makes no second job."""

from __future__ import annotations

import pytest

from ledger.errors import NoSuchJob
from ledger.idempotency import IdempotencyKeys
from ledger.job import JobState
from tests.ledger.conftest import LedgerHarness
from web.keyed_requests import KeyedRequest
from web.refusals import Refusal

REQUEST = KeyedRequest("ada", "key")


class Died(BaseException):
    """The server died here."""


@pytest.fixture
def store(ledger):
    """Store a job under an id whole, or only its beginning."""
    harness = LedgerHarness(ledger.redis)

    async def store(job_id, *, whole=True):
        spec = harness.spec(job_id=job_id)
        if whole:
            await harness.store(spec)
            await ledger.job_store.open(job_id)
        else:
            await ledger.job_store.create(spec)
        return job_id

    return store


async def state_of(ledger, job_id):
    return (await ledger.jobs.get(job_id)).state


async def test_it_makes_one_job_however_often_it_is_sent(ledger, store):
    """The same one is returned."""
    first, existed = await REQUEST.once(ledger, "d", store)

    assert not existed
    assert await REQUEST.once(ledger, "d", store) == (first, True)
    other, _ = await KeyedRequest("bob", "key").once(ledger, "d", store)
    assert other != first


async def test_a_job_that_was_stored_before_the_server_died_is_found(ledger, store):
    """Nobody had recorded that it was."""
    made = []

    async def dies(job_id):
        made.append(await store(job_id))
        raise Died

    with pytest.raises(Died):
        await REQUEST.once(ledger, "d", dies)

    assert await REQUEST.once(ledger, "d", store) == (made[0], True)


async def test_a_job_that_was_stored_in_part_is_made_again(ledger, store):
    """Under its id; workers never saw what was there before."""
    made = []

    async def dies(job_id):
        made.append(await store(job_id, whole=False))
        raise Died

    with pytest.raises(Died):
        await REQUEST.once(ledger, "d", dies)
    assert await state_of(ledger, made[0]) is JobState.SUBMITTING

    assert await REQUEST.once(ledger, "d", store) == (made[0], False)
    assert await state_of(ledger, made[0]) is JobState.RUNNING


async def test_a_job_that_is_still_being_stored_is_waited_for(ledger, store):
    """The client of the first request left, and its server goes on."""

    async def leaves(job_id):
        await ledger.fingerprints.still_storing(await store(job_id, whole=False))
        raise Died

    with pytest.raises(Died):
        await REQUEST.once(ledger, "d", leaves)

    with pytest.raises(Refusal) as found:
        await REQUEST.once(ledger, "d", store)
    assert found.value.code == "idempotency_in_progress"


async def test_a_job_that_another_request_makes_meanwhile_is_waited_for(ledger, store):
    """It has the id by the time that this one stores it."""

    async def overtaken(job_id):
        await store(job_id)
        return await store(job_id)

    with pytest.raises(Refusal) as found:
        await REQUEST.once(ledger, "d", overtaken)
    assert found.value.code == "idempotency_in_progress"


async def test_a_request_that_was_refused_leaves_its_key_free(ledger, store):
    """So does one that stores nothing; then other content may come with it."""

    async def refused(_):
        raise Refusal("invalid_request", "no.")

    async def checks(_):
        return None

    with pytest.raises(Refusal):
        await REQUEST.once(ledger, "d", refused)
    assert await REQUEST.once(ledger, "e", checks) == (None, False)
    _, existed = await REQUEST.once(ledger, "f", store)
    assert not existed


async def test_a_key_belongs_to_one_request(ledger, store):
    """Also where the server died at it."""

    async def dies(_):
        raise Died

    with pytest.raises(Died):
        await REQUEST.once(ledger, "d", dies)

    with pytest.raises(Refusal) as found:
        await REQUEST.once(ledger, "e", store)
    assert found.value.code == "idempotency_key_reused"


async def test_a_job_that_has_expired_is_not_made_again(ledger, store):
    """Its key is kept for longer than it was."""
    job_id, _ = await REQUEST.once(ledger, "d", store)
    await ledger.jobs.discard(job_id)

    assert await REQUEST.once(ledger, "d", store) == (job_id, True)
    with pytest.raises(NoSuchJob):
        await ledger.jobs.get(job_id)


async def test_one_request_runs_at_a_time(ledger):
    """A second one is told to come back."""
    async with REQUEST.alone(ledger):
        with pytest.raises(Refusal) as found:
            async with REQUEST.alone(ledger):
                pass
    assert found.value.code == "idempotency_in_progress"
    async with REQUEST.alone(ledger):
        assert await IdempotencyKeys(ledger.redis).find("ada", "key") is None
