"""Whatever workers do, in whatever order, and whoever dies: the counts sum up, and no shard and no image is lost."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from hypothesis.stateful import run_state_machine_as_test as explore

from ledger.codec import BeforeImage, Detail, Tries
from ledger.connect import new_client
from ledger.errors import LeaseLost
from ledger.job import JobState, Traffic
from ledger.row import Outcome
from ledger.row_reader import read_rows
from ledger.settlements import Settlement
from ledger.shards import LeaseAnswer, LeasedShard, ReleaseAnswer

ROWS, SHARD_ROWS, SHARDS = 7, 3, 3
NUMBERS = st.integers(0, SHARDS - 1)
ENDS = st.sampled_from([Outcome.UPDATED, Outcome.UNCHANGED, Outcome.FAILED, Outcome.DRIFTED, Outcome.WOULD_CHANGE])
CRASH = Detail("worker_crash", 0, "died", "", 0, 1.0)


def rows_of(number):
    """The rows of a shard by their number in the job."""
    return range(number * SHARD_ROWS, min(ROWS, (number + 1) * SHARD_ROWS))


class Workers(RuleBasedStateMachine):
    """Workers at one job, and a model of what the ledger should know."""

    url = ""
    harness_of = None
    turns = Bundle("turns")

    @initialize()
    def submit(self):
        self.runner = asyncio.Runner()
        self.client = self.run(self.connect())
        self.harness = self.harness_of(self.client)
        self.spec = self.run(self.harness.submit(rows=ROWS, shard_rows=SHARD_ROWS))
        self.outcomes = {}
        self.images = {}
        self.owners = {}
        self.closed = set()

    def run(self, step):
        return self.runner.run(step)

    async def connect(self):
        return new_client(self.url)

    def pending(self, number):
        return [row for row in rows_of(number) if row not in self.outcomes]

    @rule()
    def announce(self):
        self.run(self.harness.shards.to_announce(self.spec.job_id))

    @rule(target=turns, number=NUMBERS)
    def begin_a_turn(self, number):
        return self.lease(number)

    def lease(self, number):
        owner, state = secrets.token_hex(4), self.run(self.harness.state(self.spec))
        answer = self.run(self.harness.shards.lease(self.spec.job_id, number, owner))
        if number in self.owners:
            assert answer is LeaseAnswer.BUSY
        elif number in self.closed:
            assert answer is LeaseAnswer.DONE
        else:
            assert answer is (LeaseAnswer.LEASED if state is JobState.RUNNING else LeaseAnswer.IDLE)
        if answer is not LeaseAnswer.LEASED:
            return multiple()
        self.owners[number] = owner
        shard = self.run(self.harness.shards.load(self.spec.job_id, number, owner))
        assert [shard.first_row + row for row in shard.todo] == self.pending(number)
        assert {shard.first_row + row: image.metadata for row, image in shard.images.items()} == {
            row: image for row, image in self.images.items() if row in rows_of(number)
        }
        return shard

    @rule(shard=turns, rows=st.lists(st.integers(0, SHARD_ROWS - 1), min_size=1, max_size=4), end=ENDS)
    def settle_some(self, shard, rows, end):
        self.settle(shard, rows, end)

    def settle(self, shard, rows, end):
        """By the owner, or by one that has lost the lease and does not know it yet."""
        rows = [row for row in rows if shard.first_row + row in rows_of(shard.number)]
        fresh = {shard.first_row + row for row in rows} - self.outcomes.keys()
        ends = [Settlement(row, end, CRASH if end is Outcome.FAILED else None) for row in rows]
        if self.owners.get(shard.number) != shard.owner:
            with pytest.raises(LeaseLost):
                self.run(self.harness.ledger.settlements.settle(shard, ends, Traffic(requests=1)))
            return
        assert self.run(self.harness.ledger.settlements.settle(shard, ends, Traffic(requests=1))) == len(fresh)
        self.outcomes |= dict.fromkeys(fresh, end)

    @rule(shard=turns, row=st.integers(0, SHARD_ROWS - 1), value=st.sampled_from("abc"))
    def journal(self, shard, row, value):
        if shard.first_row + row not in rows_of(shard.number):
            return
        images = [BeforeImage(row, {"k": value})]
        if self.owners.get(shard.number) != shard.owner:
            with pytest.raises(LeaseLost):
                self.run(self.harness.ledger.settlements.journal(shard, images, []))
            return
        self.run(self.harness.ledger.settlements.journal(shard, images, []))
        self.images[shard.first_row + row] = {"k": value}

    @rule(shard=turns, failures=st.integers(1, 5))
    def hand_back(self, shard, failures):
        tries = {row: Tries(failures, in_doubt=True) for row in list(shard.todo)[:1]}
        self.run(self.harness.ledger.settlements.hand_back(shard, tries, Traffic(requests=1)))

    @rule(shard=consumes(turns))
    def end_a_turn(self, shard):
        self.release(shard)

    def release(self, shard):
        answer = self.run(self.harness.shards.release(shard))
        if self.owners.get(shard.number) != shard.owner:
            assert answer is ReleaseAnswer.LOST
            return
        del self.owners[shard.number]
        if self.pending(shard.number):
            assert answer is ReleaseAnswer.WAITING
            return
        self.closed.add(shard.number)
        assert answer is (ReleaseAnswer.FINISHED if len(self.closed) == SHARDS else ReleaseAnswer.CLOSED)

    @rule(number=NUMBERS, rows=st.integers(0, SHARD_ROWS), end=ENDS, dies=st.booleans())
    def take_a_turn(self, number, rows, end, dies):
        """From lease to release, or to the worker's death; some or all of the rows are settled."""
        shard = self.lease(number)
        if isinstance(shard, LeasedShard):
            if rows:
                self.settle(shard, list(range(rows)), end)
            if dies:
                self.die(number)
            else:
                self.release(shard)

    @rule(number=NUMBERS)
    def kill(self, number):
        self.die(number)

    def die(self, number):
        """A worker is killed; once a shard has killed enough of them it is parked."""
        if self.owners.pop(number, None) is None:
            return
        self.run(self.harness.expire_lease(self.spec, number))
        if self.run(self.harness.shards.rescue(self.spec.job_id)).parked:
            self.close(number, Outcome.FAILED)

    @rule(number=NUMBERS)
    def lose_a_message(self, number):
        if number in self.run(self.harness.places(self.spec))["announced"]:
            self.run(self.harness.lose_announcement(self.spec, number))
            assert self.run(self.harness.shards.rescue(self.spec.job_id)).parked == []

    @rule(number=NUMBERS, end=st.sampled_from([Outcome.FAILED, Outcome.CANCELLED]), seldom=st.integers(0, 9))
    def close_seldom(self, number, end, seldom):
        if seldom == 9:
            self.close(number, end)

    def close(self, number, end):
        written = self.run(self.harness.shards.close(self.spec, number, end, CRASH))
        if number in self.owners:
            assert written == -1
            return
        open_rows = self.pending(number)
        assert written == len(open_rows)
        self.outcomes |= dict.fromkeys(open_rows, end)
        self.closed.add(number)

    @rule(resumes=st.booleans())
    def pause_or_resume(self, resumes):
        jobs = self.harness.ledger.jobs
        self.run(jobs.resume(self.spec.job_id, by="test"))
        if not resumes:
            self.run(jobs.pause(self.spec.job_id, by="test", code="c", reason="r"))

    @invariant()
    def counts_sum_up(self):
        counts = self.run(self.harness.counts(self.spec))
        for outcome in Outcome:
            if outcome is not Outcome.PENDING:
                assert getattr(counts, outcome.word) == list(self.outcomes.values()).count(outcome)
        assert counts.pending == ROWS - len(self.outcomes)

    @invariant()
    def every_open_shard_is_in_one_place(self):
        places = self.run(self.harness.places(self.spec))
        held = sorted(number for numbers in places.values() for number in numbers)
        assert held == sorted(set(range(SHARDS)) - self.closed)
        assert places["leased"] == sorted(self.owners)
        state = self.run(self.harness.state(self.spec))
        assert (state is JobState.FINISHED) == (not held)

    def teardown(self):
        """The workers that are left carry out the rest, and a report shows it all."""
        if not hasattr(self, "harness"):
            return
        self.run(self.finish())
        self.runner.close()

    async def finish(self):
        await self.harness.ledger.jobs.resume(self.spec.job_id, by="test")
        for number in list(self.owners):
            await self.harness.expire_lease(self.spec, number)
        await self.harness.shards.rescue(self.spec.job_id)
        for number in sorted(set(range(SHARDS)) - self.closed):
            shard = await self.harness.lease(self.spec, number, "last")
            ends = [Settlement(row, Outcome.UPDATED) for row in shard.todo]
            await self.harness.ledger.settlements.settle(shard, ends, Traffic())
            self.outcomes |= {shard.first_row + row: Outcome.UPDATED for row in shard.todo}
            await self.harness.shards.release(shard)
        assert await self.harness.state(self.spec) is JobState.FINISHED
        assert (await self.harness.counts(self.spec)).pending == 0
        rows = [row async for row in read_rows(self.client, self.spec)]
        assert [row.outcome for row in rows] == [self.outcomes[row] for row in range(ROWS)]
        assert {n: row.before for n, row in enumerate(rows) if row.before is not None} == self.images
        await self.client.aclose()


def test_counts_always_sum_up_and_every_row_comes_to_an_end(redis_url, harness_of):
    """Against a model: random turns, zombies, lost messages, deaths, parked shards, pauses."""
    explore(
        type("Bound", (Workers,), {"url": redis_url, "harness_of": harness_of}),
        settings=settings(
            max_examples=settings.default.max_examples // 5,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
