"""Reading the list for a plan: one reader at a time, each going on behind the last, and rows all at once or never."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from config.groups import InputSettings
from config.settings import Settings
from ledger.errors import LeaseLost
from ledger.job import JobState
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.list_reads import MOST_CRASHES, ReaderCrashed
from ledger.row_reader import read_rows
from relabel import control
from relabel.errors import WrongState
from relabel.plan_selection import plan_selection
from relabel.select import selecting
from relabel.session import Session
from relabel.submit import FileOptions
from sandbox import Sandbox
from sandbox.completion import Completion, new_id
from selection.list_turn import NOTHING_MATCHED_CODE, Surroundings, TooManyRows, TurnEnd, list_turn
from selection.options import options_of

NOON = 1_795_000_000
OPTIONS = FileOptions(("selection",))
ASKED = {"where": 'metadata.team == "search"', "set": {"dataset": "eval"}, "set_default": {"team": "none"}}


class Scene:
    """A sandbox of 450 completions, a third of them of team search; a plan of these, and its readers."""

    def __init__(self, session):
        self.session, self.ledger = session, session.ledger
        self.reads = self.ledger.list_reads

    async def plan(self, asked=ASKED):
        return await plan_selection(self.session, asked, OPTIONS)

    async def turn(self, job_id, lock, *, turn_s=60.0, **changes):
        """The turn of a reader, to be taken; None where there is nothing to read."""
        assert await lock.take()
        settings = self.session.settings.model_copy(update=changes)
        return await list_turn(job_id, lock, Surroundings(self.ledger, settings, "w1", lambda: False, turn_s))

    async def read(self, job_id, **changes):
        """Let one reader take its turn and leave in order."""
        lock = self.reads.lock(job_id)
        try:
            turn = await self.turn(job_id, lock, **changes)
            return None if turn is None else await turn.take()
        finally:
            await self.reads.leave(job_id, lock)
            await lock.release()

    async def job(self, job_id):
        return await self.ledger.jobs.get(job_id)

    async def patches(self, job_id):
        spec = (await self.job(job_id)).spec
        return [(row.patch.completion_id, row.patch.metadata) async for row in read_rows(self.ledger.redis, spec)]

    async def selected(self, asked=ASKED):
        """What `relabel select` finds with the same options."""
        async with selecting(self.session, options_of(asked), output=None, progress=lambda _: None) as found:
            return [(patch.completion_id, patch.metadata) async for patch in found.patches()]

    async def drafts(self):
        """What was stored for rows under an id of a reader's own."""
        return [key for key in await self.ledger.redis.keys("relabel:{*.*}:*") if b":claim:" not in key]


@pytest.fixture
async def scene(redis: Redis, redis_url: str, broker_url: str, tmp_path) -> AsyncIterator[Scene]:
    async with Sandbox() as sandbox:
        for number in range(450):
            created = NOON + number
            metadata = {"team": ("search", "docs", "support")[number % 3]}
            sandbox.store.add(Completion(new_id(created, f"{number:024d}"), created, metadata, "gpt-4o"))
        settings = Settings(
            _env_file=None,
            OPENAI_BASE_URL=sandbox.base_url,
            OPENAI_API_KEY=SecretStr("sk-select-key-0123456789"),
            redis={"url": redis_url},
            broker_url=broker_url,
            rate={"per_minute": 60_000},
            state_dir=tmp_path / "state",
        )
        yield Scene(Session(Ledger(redis), settings, "ada@laptop"))


async def test_a_plan_gets_the_rows_that_select_finds(scene):
    """In the same order; it runs then, and what was kept of the pages is gone."""
    job_id = await scene.plan()
    before = await scene.job(job_id)

    assert await scene.read(job_id) is TurnEnd.OPENED

    job = await scene.job(job_id)
    assert (before.state, before.spec.rows, before.selection.is_read) == (JobState.SUBMITTING, 0, False)
    assert (job.state, job.counts.total, job.spec.shards, job.spec.keys) == (JobState.RUNNING, 150, 1, ["dataset"])
    assert (job.selection.asked, job.selection.is_read) == (ASKED, True)
    assert (job.selection.found.read, job.selection.found.matched, job.selection.found.requests) == (450, 150, 5)
    assert await scene.patches(job_id) == await scene.selected()
    assert await scene.ledger.shards.to_announce(job_id) == [0]
    assert not await scene.ledger.redis.exists(JobKeys(job_id).selected)
    assert await scene.drafts() == []


async def test_each_reader_goes_on_behind_the_last_one(scene):
    """Page by page, without reading one twice."""
    job_id = await scene.plan()

    ends = [await scene.read(job_id, turn_s=0.0) for _ in range(5)]

    assert ends == [TurnEnd.READ_ON] * 4 + [TurnEnd.OPENED]
    assert (await scene.job(job_id)).selection.found.requests == 5
    assert await scene.patches(job_id) == await scene.selected()


async def test_a_sample_is_that_of_select(scene):
    """It is drawn from all that matches, once that is known."""
    asked = ASKED | {"sample": 20, "seed": 7}
    job_id = await scene.plan(asked)

    await scene.read(job_id, turn_s=0.0)
    while await scene.read(job_id, turn_s=0.0) is TurnEnd.READ_ON:
        pass

    found = await scene.patches(job_id)
    assert len(found) == 20
    assert found == await scene.selected(asked)


async def test_one_reader_reads_at_a_time(scene):
    """A second message finds the lock held."""
    job_id = await scene.plan()
    first, second = scene.reads.lock(job_id), scene.reads.lock(job_id)

    assert await scene.turn(job_id, first) is not None
    assert not await second.take()
    assert await scene.reads.begin(job_id, second) is None


async def test_another_reader_goes_on_where_one_died(scene):
    """Once the lock has run out; what the dead one kept is not read again."""
    job_id = await scene.plan()
    dead = scene.reads.lock(job_id)
    assert await (await scene.turn(job_id, dead, turn_s=0.0)).take() is TurnEnd.READ_ON
    await scene.ledger.redis.delete(JobKeys(job_id).reader)  # its life is over

    assert await scene.read(job_id) is TurnEnd.OPENED
    assert (await scene.job(job_id)).selection.found.requests == 5
    assert await scene.patches(job_id) == await scene.selected()


async def test_readers_that_die_time_and_again_end_it(scene):
    """Without a page; one that leaves in order, or keeps a page, counts for nothing."""
    job_id = await scene.plan()

    async def dies():
        assert await scene.turn(job_id, scene.reads.lock(job_id)) is not None
        await scene.ledger.redis.delete(JobKeys(job_id).reader)

    for _ in range(MOST_CRASHES - 1):
        await dies()
    lock = scene.reads.lock(job_id)
    assert await scene.turn(job_id, lock) is not None
    await scene.reads.leave(job_id, lock)
    await lock.release()
    assert await scene.read(job_id, turn_s=0.0) is TurnEnd.READ_ON
    for _ in range(MOST_CRASHES):
        await dies()

    with pytest.raises(ReaderCrashed):
        await scene.turn(job_id, scene.reads.lock(job_id))


async def test_a_reader_that_was_stopped_changes_nothing_any_more(scene):
    """It lost the lock with all rows stored: those of the next one are the job's, and nothing else is left."""
    job_id = await scene.plan()
    stopped, lock = scene.reads.lock(job_id), scene.reads.lock(job_id)
    late = await scene.turn(job_id, stopped)
    await scene.ledger.redis.delete(JobKeys(job_id).reader)
    await scene.turn(job_id, lock)

    with pytest.raises(LeaseLost):
        await late.take()
    late.mark = late.mark.__class__(complete=True)
    with pytest.raises(LeaseLost):
        await late.take()  # with all pages read, it stores rows, and they are not taken

    assert (await scene.job(job_id)).counts.total == 0
    assert await scene.drafts() == []


async def test_rows_that_were_stored_are_only_opened(scene):
    """Where a reader died in between."""
    job_id = await scene.plan()
    lock = scene.reads.lock(job_id)
    turn = await scene.turn(job_id, lock)
    await turn._read()
    await turn._store()
    await scene.ledger.redis.delete(JobKeys(job_id).reader)
    assert (await scene.job(job_id)).state is JobState.SUBMITTING

    assert await scene.read(job_id) is TurnEnd.OPENED

    job = await scene.job(job_id)
    assert (job.state, job.counts.total, job.selection.found.requests) == (JobState.RUNNING, 150, 5)


@pytest.mark.parametrize("verb", ["pause", "cancel"])
async def test_it_can_be_paused_and_cancelled_while_it_is_read(scene, verb):
    """Nothing of it is kept from then on; a paused one is read on once it is resumed."""
    job_id = await scene.plan()
    lock = scene.reads.lock(job_id)
    turn = await scene.turn(job_id, lock)
    await (control.pause if verb == "pause" else control.cancel)(scene.session, job_id)

    with pytest.raises(LeaseLost):
        await turn.take()
    await scene.reads.leave(job_id, lock)
    await lock.release()

    job = await scene.job(job_id)
    assert (job.state, job.selection.found.read) == (JobState.PAUSED if verb == "pause" else JobState.CANCELLED, 0)
    assert await scene.read(job_id) is None
    if verb == "cancel":
        with pytest.raises(WrongState):
            await control.cancel(scene.session, job_id)
        return
    assert not await scene.reads.should_call(job_id)
    await control.resume(scene.session, job_id)
    assert (await scene.job(job_id)).state is JobState.SUBMITTING
    assert await scene.reads.should_call(job_id)
    assert await scene.read(job_id) is TurnEnd.OPENED


async def test_a_job_whose_rows_are_stored_by_its_producer_cannot_be_paused(scene):
    """It is `submitting`, too, and nobody reads for it."""
    job_id = await scene.plan()
    await scene.ledger.redis.hdel(JobKeys(job_id).job, "reading")

    for change in (control.pause, control.cancel):
        with pytest.raises(WrongState):
            await change(scene.session, job_id)


async def test_what_nothing_matches_is_finished(scene):
    """With no row, and the reason."""
    job_id = await scene.plan({"where": 'metadata.team == "none"', "set": {"dataset": "eval"}})

    assert await scene.read(job_id) is TurnEnd.OPENED

    job = await scene.job(job_id)
    assert (job.state, job.counts.total, job.reason_code) == (JobState.FINISHED, 0, NOTHING_MATCHED_CODE)
    assert "450 read" in job.reason
    assert job_id not in await scene.ledger.jobs.active()


async def test_what_changes_nothing_is_finished_with_its_rows_unchanged(scene):
    """All that match hold the key already."""
    job_id = await scene.plan({"set_default": {"team": "none"}})

    await scene.read(job_id)

    job = await scene.job(job_id)
    assert (job.state, job.counts.total, job.counts.unchanged) == (JobState.FINISHED, 450, 450)
    assert job.reason is None


async def test_more_than_a_job_may_have_are_not_taken(scene):
    """As of a file."""
    job_id = await scene.plan()

    with pytest.raises(TooManyRows):
        await scene.read(job_id, input=InputSettings(max_rows=100))


async def test_readers_are_called_once(scene):
    """Not while one reads, nor for some time after a message; and not once the rows are there."""
    job_id = await scene.plan()
    assert not await scene.reads.should_call(job_id)

    await scene.ledger.redis.hset(JobKeys(job_id).job, "called_at", "1.0")
    lock = scene.reads.lock(job_id)
    await lock.take()
    assert not await scene.reads.should_call(job_id)
    await lock.release()
    assert [await scene.reads.should_call(job_id) for _ in range(2)] == [True, False]

    await scene.read(job_id)
    await scene.ledger.redis.hset(JobKeys(job_id).job, "called_at", "1.0")
    assert not await scene.reads.should_call(job_id)


async def test_it_is_known_since_when_no_worker_reads_it(scene):
    """Once a worker's death and a lost message have been noticed for sure; not while one reads, or it is paused."""
    job_id = await scene.plan()
    lock = scene.reads.lock(job_id)

    async def idle_since(**fields):
        if fields:
            await scene.ledger.redis.hset(JobKeys(job_id).job, mapping=fields)
        return (await scene.job(job_id)).selection.idle_since

    long_ago = {"read_at": "1.0", "seen_at": "2.0"}
    assert await idle_since() is None
    assert await idle_since(**long_ago) == 2.0
    await lock.take()
    assert await idle_since(**long_ago) is None
    await scene.reads.begin(job_id, lock)
    await lock.release()
    assert await idle_since(read_at="1.0") is None  # one was heard of right now
    await control.pause(scene.session, job_id)
    assert await idle_since(**long_ago) is None
    await control.resume(scene.session, job_id)
    assert await idle_since() is None


async def test_every_key_of_it_expires(scene):
    """Whatever is there while it is read."""
    job_id = await scene.plan()
    await scene.read(job_id, turn_s=0.0)

    for key in await scene.ledger.redis.keys(f"relabel:{{{job_id}}}:*"):
        assert await scene.ledger.redis.pttl(key) > 0, key
