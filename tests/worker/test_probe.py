"""What a probe finds out about services that differ in one thing each, and what jobs make of it."""

from __future__ import annotations

import msgspec
import pytest

from completions.client import open_api
from completions.target import Target
from ledger.row import Outcome
from ledger.service_profile import Behaviour, Null, PairLimit, Semantics
from probe.calls import RetryingCalls
from probe.examine import Probe
from probe.restore import restore
from ratelimit.limiter import RateLimiter
from ratelimit.limits import Limit, Limits, SharedLimit
from tests.harness.odd_service import OddService, serving
from worker.service import service_of

ID = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqX"
BEFORE = {"team": "blue", "quality": "good"}
RELEASE_ONE = {
    "semantics": "merges",
    "null_value": "removes",
    "null_map": "ignored",
    "read_s": 0.1,
    "write_s": 0.1,
    "visible_after_s": 0.1,
    "at": 1.0,
}


async def probed(redis, service: OddService, before: dict[str, str]) -> Behaviour:
    """Probe the service and restore the completion, as the command does."""
    async with open_api(Target(service.base_url, "sk-test"), in_flight=1) as api:
        limiter = RateLimiter(Limits(redis), SharedLimit("relabel:limit:probe", Limit(2000.0, 200)), job_id=None)
        calls = RetryingCalls(api, limiter, ID, name="probe")
        try:
            return await Probe(calls, before, lambda _step: None).examine()
        finally:
            await restore(calls, before)
            await limiter.aclose()


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ({"null": "removes"}, {"semantics": Semantics.REPLACES, "null_value": Null.REMOVES}),
        ({"null": "clears"}, {"null_value": Null.CLEARS, "pair_limit": PairLimit.UNKNOWN}),
        ({"null": "ignored", "merges": True}, {"null_value": Null.IGNORED, "pair_limit": PairLimit.UNKNOWN}),
        ({"null_map": "ignored"}, {"null_map": Null.IGNORED}),
        ({}, {"empty_value": Null.KEPT, "null_map": Null.REMOVES, "null_value": Null.REFUSED}),
        ({"empty": "removes", "merges": True}, {"empty_value": Null.REMOVES}),
        ({"empty": "refused"}, {"empty_value": Null.REFUSED}),
        ({"null": "removes", "merges": True}, {"pair_limit": PairLimit.RESULT, "reply_echoes": False}),
        ({"null": "removes", "counts": "request"}, {"pair_limit": PairLimit.REQUEST}),
    ],
    ids=str,
)
async def test_each_rule_of_a_service_is_found_out(redis, rules, found):
    """And the completion holds again what it held."""
    async with serving(OddService({ID: BEFORE}, **rules)) as service:
        behaviour = await probed(redis, service, BEFORE)

    assert {name: getattr(behaviour, name) for name in found} == found
    assert service.completions == {ID: BEFORE}


@pytest.mark.whole
async def test_a_reply_that_only_echoes_the_request_is_found_out_by_reads(redis):
    """The answer shows no key that was left out, yet a read does: it merges, and null removes."""
    rules = {"merges": True, "null": "removes", "empty": "removes", "echoes": True}
    async with serving(OddService({ID: BEFORE}, **rules)) as service:
        behaviour = await probed(redis, service, BEFORE)

    assert (behaviour.reply_echoes, behaviour.semantics) == (True, Semantics.MERGES)
    assert (behaviour.null_value, behaviour.empty_value) == (Null.REMOVES, Null.REMOVES)
    assert service.completions == {ID: BEFORE}


@pytest.mark.parametrize("breaks_off", [False, True])
async def test_keys_that_a_null_left_behind_are_taken_away_again(redis, breaks_off):
    """Where the service stores null for a key that it does not know: by the probe, or by what restores after it."""
    many = {f"k{number}": "1" for number in range(15)}
    rules = {"merges": True, "null": "removes", "null_of_unknown": "stored"}
    async with serving(OddService({ID: many}, **rules)) as service:
        if breaks_off:
            service.completions[ID] = many | {"relabel probe 1": ""}
            async with open_api(Target(service.base_url, "sk-test"), in_flight=1) as api:
                limiter = RateLimiter(
                    Limits(redis), SharedLimit("relabel:limit:probe", Limit(2000.0, 200)), job_id=None
                )
                calls = RetryingCalls(api, limiter, ID, name="probe")
                calls.wrote = True
                await restore(calls, many)
                await limiter.aclose()
        else:
            assert (await probed(redis, service, many)).null_value is Null.REMOVES

    assert service.completions == {ID: many}


@pytest.mark.parametrize("null", ["removes", "clears"])
async def test_one_key_does_not_tell_whether_others_would_stay(redis, null):
    """Nothing is promised that nobody can know."""
    async with serving(OddService({ID: {"team": "blue"}}, null=null)) as service:
        behaviour = await probed(redis, service, {"team": "blue"})

    assert (behaviour.null_value, behaviour.null_is_needed) == (Null.UNCLEAR, False)
    assert service.completions == {ID: {"team": "blue"}}


def test_what_release_one_found_stays_readable():
    """What it did not ask about is not known."""
    found = msgspec.json.decode(msgspec.json.encode(RELEASE_ONE), type=Behaviour)

    assert (found.empty_value, found.pair_limit, found.reply_echoes) == (None, None, None)
    assert found.null_is_needed


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_a_removal_is_sent_as_null_where_that_removes_a_key(harness, mode):
    """The service keeps what is left out: without the probe's finding the key would stay."""
    patch: dict[str, str | None] = {"team": None, "k": "v"} if mode == "merge" else {"quality": "good", "k": "v"}
    ends = []
    for found in (None, msgspec.convert(RELEASE_ONE, Behaviour)):
        async with serving(OddService({ID: BEFORE}, merges=True, null="removes")) as service:
            harness.sandbox, harness.service = service, service_of(found)
            job_id = await harness.submit((ID, patch), mode=mode)
            await harness.turn(job_id)
        row = await harness.row(job_id)
        ends.append((row.outcome, row.detail and row.detail.code))

    assert ends == [(Outcome.FAILED, "key_not_removed"), (Outcome.UPDATED, None)]
    assert service.completions == {ID: {"quality": "good", "k": "v"}}


async def test_no_more_nulls_are_sent_than_there_is_room_for(harness):
    """Where the service may count them, 16 pairs in all: the rest is reported, not refused with the whole row."""
    before = {f"k{number}": "1" for number in range(16)}
    patch = {"k0": None, "k1": None, "new": "v", "other": "v", "more": "v"}
    async with serving(OddService({ID: before}, merges=True, null="removes", counts="request")) as service:
        harness.sandbox, harness.service = service, service_of(msgspec.convert(RELEASE_ONE, Behaviour))
        job_id = await harness.submit((ID, {"k0": None, "k1": None}))
        await harness.turn(job_id)
        assert (await harness.row(job_id)).outcome is Outcome.UPDATED
        await harness.turn(await harness.submit((ID, patch)))

    assert max(len(body) for body in service.bodies) <= 16


async def test_a_removal_that_is_only_echoed_is_confirmed_by_a_read(harness):
    """The answer repeats the map without the key, which is there all the same."""
    echoes = msgspec.convert(RELEASE_ONE | {"null_value": "refused", "reply_echoes": True}, Behaviour)
    async with serving(OddService({ID: BEFORE}, merges=True, echoes=True)) as service:
        harness.sandbox, harness.service = service, service_of(echoes)
        job_id = await harness.submit((ID, {"team": None}))
        await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "key_not_removed")


@pytest.mark.whole
@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, True),
        ({"read_lag_s": 0.3, "list_lag_s": 0.3}, True),
        ({"list_lag_s": 0.5}, False),
        ({"list_lag_s": 3600}, False),
    ],
    ids=str,
)
async def test_whether_pages_show_an_update_as_soon_as_reads_do_is_found_out(redis, start, options, found):
    """On the page beside one of its neighbours, while others are created."""
    sandbox = await start(semantics="merge", completions=200, **options)
    sandbox.store.load({ID: BEFORE})
    sandbox.configure(arrivals_per_second=5)

    behaviour = await probed(redis, sandbox, BEFORE)

    assert behaviour.listed_at_once is found
    assert service_of(behaviour).pages_serve_writes is found
    assert sandbox.store.metadata(ID) == BEFORE


@pytest.mark.parametrize("kind", ["error_500", "bad_body_html", "no_metadata", "rate_limited"])
async def test_a_list_that_fails_leaves_that_unknown_and_the_rest_found_out(redis, start, kind):
    sandbox = await start(semantics="merge")
    sandbox.store.load({ID: BEFORE})
    sandbox.add_faults([{"fault": kind, "match": {"operation": "list"}, "times": 1, "seconds": 0.01}])

    behaviour = await probed(redis, sandbox, BEFORE)

    assert behaviour.listed_at_once is not False or kind == "no_metadata"
    assert behaviour.semantics is Semantics.MERGES
    assert sandbox.store.metadata(ID) == BEFORE


def test_pages_serve_writes_only_where_all_of_it_was_found():
    """The service merges, pages are as fresh as reads, and replies show the keys that were not sent."""
    facts = RELEASE_ONE | {"listed_at_once": True, "reply_echoes": False}
    wrong = [
        {"semantics": "replaces"},
        {"listed_at_once": False},
        {"listed_at_once": None},
        {"reply_echoes": True},
        {"reply_echoes": None},
    ]

    assert service_of(msgspec.convert(facts, Behaviour)).pages_serve_writes
    assert not any(service_of(msgspec.convert(facts | each, Behaviour)).pages_serve_writes for each in wrong)
