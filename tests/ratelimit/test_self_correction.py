"""The shared rate corrects itself: down on a 429, slowly up again, never above what was asked for, for all at once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.keys import JobKeys
from ratelimit.headers import Remaining
from ratelimit.limits import Limit, Limits, SharedLimit, rates_key
from ratelimit.shared_rate import LIVE_KEEP_S, RateNote, SharedRate

KEY = "relabel:limit:test"
ASKED = Limit(500.0, 50)
NOTED = RateNote("test", "a test")


class Endpoint:
    """One shared limit, as workers and the command line see it; time passes where a test says so."""

    def __init__(self, redis) -> None:
        self.redis = redis
        self.limits = Limits(redis)
        self.rate = SharedRate(redis, SharedLimit(KEY, ASKED))

    async def send(self, want=1, *, limit=ASKED, **asked):
        """Lease slots."""
        return await self.limits.acquire(want, SharedLimit(KEY, limit), **asked)

    async def seen(self):
        """How the rate stands."""
        return (await self.rate.read())[0]

    async def refuse(self, *, used_for=0.0, retry_after=1.0, **asked):
        """Let the server refuse a request after the rate was used for so long; then let the pause pass."""
        await self.redis.hset(KEY, "risen", used_for)
        await self.send()
        await self.limits.pause(KEY, retry_after, **asked)
        await self.let_pass(retry_after)

    async def let_pass(self, seconds):
        """Let everything in Redis be so much older."""
        fields = await self.redis.hmget(KEY, ["pause_until", "refused_until", "tat"])
        for name, value in zip(("pause_until", "refused_until", "tat"), fields, strict=True):
            await self.redis.hset(KEY, name, float(value or 0) - seconds)

    async def use_for(self, seconds):
        """Let the rate have been used for so long since the last 429."""
        await self.redis.hset(KEY, "risen", seconds)
        return (await self.seen()).rate


@pytest.fixture
async def endpoint(redis):
    """An endpoint that was used before, at any rate."""
    await redis.hset(KEY, "proved", 10_000)
    return Endpoint(redis)


async def test_a_limit_that_was_never_used_begins_low_and_rises_with_what_was_answered(redis):
    """So that a setting far above the service's own limit is found out by few 429s; it is told in no status."""
    endpoint, sent = Endpoint(redis), [[]]
    for _ in range(40):
        sent.append((await endpoint.send(1000, answered=len(sent[-1]))).slots)
        await endpoint.let_pass(0.05)

    first, last = sum(map(len, sent[:3])), len(sent[-1])
    assert first <= 40  # of 200 a second, and of the horizon
    assert last >= 24  # 0.05 s at 500 a second
    assert max(sent[1]) <= 0.03  # as a slot cannot be taken back
    assert (await endpoint.seen()).rate == 500


async def test_answers_at_a_rate_that_nobody_used_up_prove_nothing(redis):
    """One request at a time, of which each is answered: no more than 200 a second is known to be allowed."""
    endpoint = Endpoint(redis)
    for _ in range(100):
        await endpoint.send(answered=1)
        await endpoint.let_pass(0.05)

    assert len((await endpoint.send(1000)).slots) <= 10


async def test_answers_at_a_rate_that_was_half_used_for_seconds_count(redis):
    """Workers that cannot use it up leave the slow start all the same, in which slots are given for short."""
    endpoint = Endpoint(redis)
    for _ in range(300):
        await endpoint.send(6, answered=6)
        await endpoint.let_pass(0.05)

    assert (await endpoint.send(1000)).slots.count(0.0) >= 49  # the whole burst


async def test_at_a_rate_that_is_more_than_workers_manage_each_answer_counts(redis):
    """Else it would stay just above what they manage, and each request would wait for its moment."""
    endpoint, far_above = Endpoint(redis), Limit(100_000, 10_000)
    await redis.hset(KEY, "proved", 400)
    for _ in range(3):
        await endpoint.send(limit=far_above, answered=1000)
        await endpoint.let_pass(0.05)

    assert (await endpoint.send(1000, limit=far_above)).slots.count(0.0) >= 300


async def test_a_limit_that_was_used_before_is_used_at_once(endpoint):
    """Its first lease has the whole burst."""
    assert (await endpoint.send(1000)).slots.count(0.0) >= 49


async def test_a_429_while_the_rate_still_rises_counts_for_the_rate_at_that_time(redis):
    """Not for the one that was set, which nobody tried."""
    endpoint = Endpoint(redis)
    await endpoint.refuse()

    assert (await endpoint.seen()).rate < 0.5 * 200


async def test_a_429_lowers_the_rate_sharply_for_everybody(endpoint):
    """At once to less than seven tenths; and it says so."""
    await endpoint.refuse()

    seen = await Endpoint(endpoint.redis).seen()
    assert seen.rate < 0.7 * 500
    assert (seen.asked, seen.slowed_by) == (500, "429")


async def test_all_requests_that_were_under_way_are_one_429(endpoint):
    """Also one that is answered long after the pause has ended."""
    await endpoint.refuse()
    before = (await endpoint.seen()).rate

    for _ in range(20):
        await endpoint.limits.pause(KEY, None, sent_s_ago=1.5)

    seen = await endpoint.seen()
    assert (seen.rate, seen.paused_s) == (before, 0)


async def test_429s_in_a_row_halve_the_rate_each_time(endpoint):
    """A limit far below is found in a few steps."""
    rates = []
    for _ in range(5):
        await endpoint.refuse()
        rates.append((await endpoint.seen()).rate)

    assert all(after <= 0.52 * before for before, after in itertools.pairwise(rates))


async def test_the_drop_follows_what_the_server_let_through(endpoint):
    """3 s sent, 1 s paused: three quarters of the rate is what it allows."""
    await endpoint.refuse()
    rate = (await endpoint.seen()).rate
    # the last 429 came at a rate far from this one
    await endpoint.redis.hset(KEY, mapping={"ceiling": 2 * rate, "share": 0.5})
    rate = await endpoint.use_for(3)
    await endpoint.refuse(used_for=3)

    assert 0.7 < (await endpoint.seen()).rate / rate < 0.8


async def test_near_the_limit_the_drop_is_small(endpoint):
    """Two 429s at about the same rate: that is where the limit is."""
    await endpoint.refuse()
    rate = await endpoint.use_for(22)
    await endpoint.refuse(used_for=22)

    assert 0.8 < (await endpoint.seen()).rate / rate < 0.9


async def test_after_a_429_the_rate_rises_fast_lingers_and_comes_back_in_the_end(endpoint):
    """Never above what was asked for."""
    await endpoint.refuse()
    rates = [await endpoint.use_for(seconds) for seconds in range(0, 120, 2)]
    ceiling = float(await endpoint.redis.hget(KEY, "ceiling"))

    assert rates == sorted(rates)
    assert abs(rates[11] - ceiling) < 0.01 * ceiling  # where it lingers, just below the rate of the 429
    assert max(rates) == rates[-1] == 500
    assert (await endpoint.seen()).slowed_by == ""


async def test_only_time_in_which_the_rate_is_used_lets_it_rise(endpoint):
    """A rate that nobody tried has not proved itself; after ten idle minutes the old 429 is forgotten."""
    await endpoint.refuse()
    before = (await endpoint.seen()).rate
    await endpoint.let_pass(500)
    assert (await endpoint.seen()).rate == before

    await endpoint.let_pass(200)

    assert (await endpoint.seen()).rate == 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    used=st.lists(st.floats(0, 200), min_size=1, max_size=6),
    retry_after=st.none() | st.floats(0.01, 120),
    per_minute=st.floats(1, 1e6),
)
async def test_the_rate_stays_between_what_is_asked_for_and_three_a_minute(redis, used, retry_after, per_minute):
    """Whenever 429s come and however long the pauses are."""
    await redis.delete(KEY, rates_key(KEY))
    endpoint, limit = Endpoint(redis), Limit.per_minute(per_minute)
    for seconds in used:
        await redis.hset(KEY, "risen", seconds)
        await endpoint.send(limit=limit)
        await endpoint.limits.pause(KEY, retry_after)
        await endpoint.let_pass(130)
        rate = (await endpoint.send(0, limit=limit)).status.rate

        assert min(0.05, limit.rate) - 0.001 <= rate <= limit.rate


async def test_while_it_is_slowed_down_requests_go_evenly(endpoint):
    """After a pause there is no burst: the server may count closely."""
    await endpoint.refuse()
    rate = (await endpoint.seen()).rate

    slots = (await endpoint.send(1000)).slots
    gaps = [after - before for before, after in itertools.pairwise(slots)]

    assert slots.count(0.0) <= max(1, rate * 0.02)
    assert max(gaps) == pytest.approx(1 / rate, rel=0.05)


# --- the API's own headers ---


async def test_what_is_left_is_spread_until_it_is_renewed(endpoint):
    """100 requests for 4 s are 25 a second, and the reason is told."""
    await endpoint.send(remaining=Remaining(100, 4.0))

    seen = await endpoint.seen()
    assert (seen.rate, seen.slowed_by) == (25, "headers")
    await endpoint.send(remaining=Remaining(100, 0.01))
    assert (await endpoint.seen()).rate == 500


async def test_where_nothing_is_left_everybody_waits_for_more(endpoint):
    """But no longer than half a minute; then one request finds out."""
    await endpoint.send(remaining=Remaining(0, 7.0))
    seen = await endpoint.seen()
    assert (round(seen.paused_s), seen.paused_by) == (7, "used_up")

    await endpoint.send(remaining=Remaining(0, 60.0))
    assert round((await endpoint.seen()).paused_s) == 30


# --- set live ---


async def test_a_rate_set_live_counts_until_it_is_reset_and_begins_anew(endpoint):
    """Whoever sets a rate wants it tried."""
    await endpoint.refuse()
    await endpoint.rate.set(1000.0, None, NOTED)
    status, rate, burst = await endpoint.rate.read()
    assert (status.rate, status.slowed_by, rate, burst) == (1000, "", 1000, 100)
    assert await endpoint.redis.ttl(KEY) > LIVE_KEEP_S - 60

    await endpoint.refuse()
    assert await endpoint.redis.ttl(KEY) > 360 * 86_400  # also after the scripts had a hand in it
    await endpoint.rate.reset(NOTED)

    assert (await endpoint.rate.read())[1:] == (None, None)
    assert (await endpoint.seen()).rate == 500


async def test_a_burst_may_be_set_alone(endpoint):
    """The rate stays that of the settings."""
    await endpoint.rate.set(None, 7, NOTED)

    assert sum(slot < 0.001 for slot in (await endpoint.send(1000)).slots) == 7
    assert (await endpoint.seen()).rate == 500


async def test_a_higher_rate_is_in_effect_at_once_though_the_next_slot_was_far_off(endpoint):
    """One request a minute, then many: nobody waits for the rest of the minute."""
    slow = Limit(1 / 60, 1)
    await endpoint.send(limit=slow)
    assert (await endpoint.send(limit=slow)).slots == []

    await endpoint.rate.set(100.0, None, NOTED)

    assert (await endpoint.send(limit=slow)).ask_again_s <= 0.01


async def test_a_jobs_own_rate_is_read_with_each_lease(endpoint):
    """It comes, changes and goes in mid-job, and the shared rate stands as it stood."""
    job = JobKeys("a").job
    assert len((await endpoint.send(1000, job_id="a")).slots) == 50
    await endpoint.redis.hset(job, "rate_per_minute", "60")
    assert len((await endpoint.send(1000, job_id="a")).slots) == 1
    assert len((await endpoint.send(1000, job_id="a")).slots) == 0

    await endpoint.redis.hset(job, "rate_per_minute", "60000")
    assert (await endpoint.send(10, job_id="a")).ask_again_s <= 0.001  # not the rest of the second
    await endpoint.redis.hdel(job, "rate_per_minute")
    assert len((await endpoint.send(10, job_id="a")).slots) == 10


async def test_what_was_used_in_the_last_seconds_is_told(endpoint):
    """Counted over the last 5 s; looking costs nothing."""
    for _ in range(4):
        await endpoint.send(10)

    assert (await endpoint.seen()).used == pytest.approx(40, abs=1)
    assert (await endpoint.seen()).used == pytest.approx(40, abs=1)
