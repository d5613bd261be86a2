"""The request limit, and the measure of what came in."""

from __future__ import annotations

import pytest

from sandbox import SandboxOptions
from sandbox.limit import Limit
from sandbox.stats import Window


def test_a_burst_passes_at_once_and_then_the_rate_rules():
    """Three at once, then one every tenth of a second."""
    limit = Limit(10, 3)

    at_once = [limit.take(100.0).allowed for _ in range(4)]
    later = [limit.take(100.0 + step / 10).allowed for step in (1, 1, 2, 3)]

    assert at_once == [True, True, True, False]
    assert later == [True, False, True, True]


def test_a_refusal_says_how_long_to_wait_and_costs_nothing():
    """Whoever waits exactly as long as told is let in, however often it was refused before."""
    limit = Limit(4, 1)
    limit.take(50.0)

    waits = [limit.take(50.0).wait_s for _ in range(5)]

    assert waits == pytest.approx([0.25] * 5)
    assert limit.take(50.0 + waits[-1]).allowed


def test_a_quiet_time_gives_back_the_burst_and_no_more():
    """After an hour the burst is whole again."""
    limit = Limit(10, 3)
    for _ in range(3):
        limit.take(0.0)

    assert [limit.take(3600.0).allowed for _ in range(4)] == [True, True, True, False]


def test_without_a_burst_one_seconds_worth_is_allowed_at_once():
    """A rate below one a second still lets one request in."""
    assert (Limit(10, None).burst, Limit(0.2, None).burst) == (10, 1)


def test_the_window_remembers_the_most_of_any_second():
    """The second slides: it does not begin on the full second."""
    window = Window()
    for now in (0.0, 0.8, 0.9, 1.1, 1.7, 5.0):
        window.add(now)

    assert (window.most, window.total) == (4, 6)


async def get(http, sandbox, completion_id):
    """Status, headers and error of one get."""
    async with http.get(f"{sandbox.base_url}/chat/completions/{completion_id}") as answer:
        return answer.status, answer.headers, (await answer.json()).get("error")


async def test_too_many_requests_are_refused_with_the_time_to_wait(start, http, completion_id):
    """The third request of a burst of two is a 429 with a whole number of seconds."""
    sandbox = await start(rate_per_second=0.001, burst=2)

    statuses = [(await get(http, sandbox, completion_id))[0] for _ in range(2)]
    status, headers, error = await get(http, sandbox, completion_id)

    assert [*statuses, status] == [200, 200, 429]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert 1 <= int(headers["Retry-After"]) <= 1000
    assert "x-ratelimit-limit-requests" not in headers
    facts = sandbox.log.stats.facts()
    assert (facts["max_in_one_second"], facts["max_admitted_in_one_second"]) == (3, 2)


async def test_a_refusal_may_keep_the_time_to_itself(start, http, completion_id):
    """Azure leaves Retry-After out at times."""
    sandbox = await start(rate_per_second=0.001, burst=1, retry_after=False)
    await get(http, sandbox, completion_id)

    status, headers, _ = await get(http, sandbox, completion_id)

    assert (status, "Retry-After" in headers) == (429, False)


async def test_rate_headers_are_sent_when_asked_for(start, http, completion_id):
    """Limit and remaining are numbers, the reset a duration."""
    sandbox = await start(rate_per_second=0.5, burst=3, rate_headers=True)

    _, headers, _ = await get(http, sandbox, completion_id)

    assert headers["x-ratelimit-limit-requests"] == "30"
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert headers["x-ratelimit-reset-requests"] == "2000ms"


async def test_a_live_change_of_the_rate_counts_at_once(start, http, completion_id):
    """The limit can be set and lifted between two requests."""
    sandbox = await start()

    sandbox.configure(rate_per_second=0.001, burst=1)
    limited = [(await get(http, sandbox, completion_id))[0] for _ in range(2)]
    sandbox.configure(rate_per_second=None)

    assert [*limited, (await get(http, sandbox, completion_id))[0]] == [200, 429, 200]


async def test_latency_is_part_of_the_processing_time_told(start, http, completion_id):
    """What the sandbox waits it also reports."""
    sandbox = await start(latency_s=0.02, jitter_s=0.01)

    _, headers, _ = await get(http, sandbox, completion_id)

    assert int(headers["openai-processing-ms"]) >= 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latency_s", -1),
        ("jitter_s", -1),
        ("visibility_lag_s", -1),
        ("read_lag_s", -1),
        ("slow_s", -1),
        ("latency_s", float("nan")),
        ("rate_per_second", 0),
        ("rate_per_second", float("inf")),
        ("burst", 0),
        ("log_limit", 0),
    ],
)
def test_an_option_that_means_nothing_is_refused_by_name(name, value):
    """Every number has its bounds."""
    with pytest.raises(ValueError, match=name):
        SandboxOptions(**{name: value})
