"""The list as a service may have it: ties, lag, cursors that are gone, arrivals meanwhile, and many completions."""

from __future__ import annotations

import io
import json

import pytest

from sandbox import Sandbox, SandboxOptions
from sandbox.completion import Completion
from tests.harness.wait import wait_until


async def page(http, sandbox, **query):
    """Status and body of one list request."""
    async with http.get(f"{sandbox.base_url}/chat/completions", params=query) as answer:
        return answer.status, await answer.json()


async def pages(http, sandbox, **query):
    """The ids of all pages, one after the other."""
    ids, after = [], {}
    while True:
        _, shown = await page(http, sandbox, limit=100, **query, **after)
        ids += [each["id"] for each in shown["data"]]
        if not shown["has_more"]:
            return ids
        after = {"after": shown["last_id"]}


@pytest.fixture
async def filled(start):
    async def start_it(count=250, **options):
        return await start(completions=count, **options)

    return start_it


async def test_most_neighbours_are_created_in_the_same_second_in_no_order_of_their_ids(filled, http):
    sandbox = await filled(3000)

    _, shown = await page(http, sandbox, limit=100, order="asc")

    neighbours = list(zip(shown["data"], shown["data"][1:], strict=False))
    ties = [(one["id"], two["id"]) for one, two in neighbours if one["created"] == two["created"]]
    assert len(ties) > 50
    assert 15 < sum(one < two for one, two in ties) < len(ties) - 15
    assert [each["created"] for each in shown["data"]] == sorted(each["created"] for each in shown["data"])


async def test_both_orders_show_everything_once(filled, http):
    sandbox = await filled(250)

    up, down = await pages(http, sandbox, order="asc"), await pages(http, sandbox, order="desc")

    assert up == down[::-1]
    assert sorted(up) == sorted(sandbox.store.dump())


async def test_the_same_seed_makes_the_same_completions_but_for_the_time():
    one, two, other = (Sandbox(SandboxOptions(completions=300, seed=seed)).store for seed in (4, 4, 5))

    def letters(store):
        return {each[-24:]: metadata for each, metadata in store.dump().items()}

    assert letters(one) == letters(two)
    assert not letters(one).keys() & letters(other).keys()
    assert {"team", "score", "session"} <= next(iter(one.dump().values())).keys()


@pytest.mark.parametrize(
    ("deleted_cursor", "expected"), [("in_place", range(9, 14)), ("empty", []), ("ignored", range(5))]
)
async def test_what_follows_a_deleted_completion_is_as_asked_for(start, http, deleted_cursor, expected):
    sandbox = await start(deleted_cursor=deleted_cursor)
    for number in range(20):
        sandbox.store.add(Completion(f"chatcmpl-{number:05d}", 1000 + number, {}))
    sandbox.store.delete("chatcmpl-00008")

    status, shown = await page(http, sandbox, after="chatcmpl-00008", limit=5, order="asc")

    assert status == 200
    assert [each["id"] for each in shown["data"]] == [f"chatcmpl-{number:05d}" for number in expected]
    assert shown["has_more"] is bool(expected)


async def test_a_deleted_cursor_is_refused_unless_asked_for_otherwise(filled, http):
    sandbox = await filled(20, deleted_cursor="in_place")
    _, shown = await page(http, sandbox, limit=5)
    gone = shown["last_id"]
    sandbox.store.delete(gone)

    assert (await page(http, sandbox, after="chatcmpl-never"))[0] == 404
    sandbox.configure(deleted_cursor="refused")
    status, answer = await page(http, sandbox, after=gone)

    assert (status, answer["error"]["param"]) == (404, "completion_id")


async def test_the_fault_cursor_deleted_deletes_the_one_that_a_page_begins_after(filled, http):
    sandbox = await filled(300)
    sandbox.add_faults([{"fault": "cursor_deleted", "times": 2}])
    _, first = await page(http, sandbox, limit=100)

    status, _ = await page(http, sandbox, limit=100, after=first["last_id"])

    assert status == 404
    assert first["last_id"] not in sandbox.store
    assert len(sandbox.store) == 300  # one of the fixture, and one deleted
    assert sandbox.log.stats.by_fault == {"cursor_deleted": 2}


async def test_a_list_that_lags_shows_what_was(filled, http, completion_id):
    """Updates, deletions and creations are seen by a get at once."""
    sandbox = await filled(3, list_lag_s=3600)
    url, other = f"{sandbox.base_url}/chat/completions", next(iter(sandbox.store.dump()))
    async with http.post(f"{url}/{completion_id}", json={"metadata": {"team": "red"}}) as answer:
        assert answer.status == 200
    async with http.delete(f"{url}/{other if other != completion_id else list(sandbox.store.dump())[1]}") as answer:
        gone = (await answer.json())["id"]
    async with http.post(url, json={"model": "gpt-4o", "messages": [], "store": True}) as answer:
        made = (await answer.json())["id"]
    async with http.get(f"{url}/{completion_id}") as answer:
        read = (await answer.json())["metadata"]

    shown = {each["id"]: each["metadata"] for each in (await page(http, sandbox, limit=100))[1]["data"]}
    sandbox.configure(list_lag_s=0)
    later = {each["id"]: each["metadata"] for each in (await page(http, sandbox, limit=100))[1]["data"]}

    assert (shown[completion_id], read, later[completion_id]) == ({"team": "blue"}, {"team": "red"}, {"team": "red"})
    assert (gone in shown, gone in later) == (True, False)
    assert (made in shown, made in later) == (False, True)


async def test_the_filter_goes_by_what_a_lagging_list_shows(start, http, completion_id):
    sandbox = await start(list_lag_s=3600)
    async with http.post(f"{sandbox.base_url}/chat/completions/{completion_id}", json={"metadata": {}}) as answer:
        assert answer.status == 200

    _, shown = await page(http, sandbox, **{"metadata[team]": "blue"})

    assert [each["id"] for each in shown["data"]] == [completion_id]


async def test_others_create_completions_while_pages_are_read(filled, http):
    sandbox = await filled(150, arrivals_per_second=100)
    before = await pages(http, sandbox)

    async def grown():
        await page(http, sandbox)
        return len(sandbox.store) > 170

    await wait_until(grown, within=60, what="twenty arrivals")
    after = await pages(http, sandbox)
    assert set(before) <= set(after)
    assert len(after) == len(set(after)) > 170


@pytest.mark.parametrize("kind", ["no_metadata", "null_metadata"])
async def test_faults_of_metadata_strike_each_item_of_a_page(filled, http, kind):
    sandbox = await filled(5)
    sandbox.add_faults([{"fault": kind}])

    _, shown = await page(http, sandbox)

    assert len(shown["data"]) == 6
    assert {each.get("metadata", "none") for each in shown["data"]} == {None if kind == "null_metadata" else "none"}


async def test_the_control_endpoint_fills_a_running_sandbox(start, http):
    sandbox = await start()
    url = f"{sandbox.address}/_sandbox/completions"

    async with http.post(url, data=io.BytesIO(json.dumps({"count": 400, "seed": 3, "days": 2}).encode())) as answer:
        assert await answer.json() == {"filled": 400}
    async with http.post(url, data=io.BytesIO(b'{"count": -1}')) as answer:
        refused = answer.status

    assert len(sandbox.store) == 401
    assert refused == 400


def test_50_000_completions_are_listed_in_their_order_while_some_come_and_go():
    """Nothing sorts or walks over all of them for a page; what a page costs is measured by bench."""
    store = Sandbox(SandboxOptions(completions=50_000)).store
    everything = [each.id for each in store.walk(None, descending=False)]
    read, place = [], None

    for number in range(20):
        for each, _ in zip(store.walk(place, descending=False), range(100), strict=False):
            read.append(each.id)
        place = store.place(read[-1])
        store.delete(read[-1])
        store.add(Completion(f"chatcmpl-new-{number}", 1000 + number, {}))

    assert len(everything) == 50_000
    assert read == everything[:2000]
