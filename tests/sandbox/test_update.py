"""Both things an update may mean, and when a completion can be seen."""

from __future__ import annotations

import asyncio

import pytest


async def update(http, sandbox, completion_id, metadata):
    """The status and body of one update."""
    url = f"{sandbox.base_url}/chat/completions/{completion_id}"
    async with http.post(url, json={"metadata": metadata}) as answer:
        return answer.status, await answer.json()


async def read(http, sandbox, completion_id):
    """The status of one get."""
    async with http.get(f"{sandbox.base_url}/chat/completions/{completion_id}") as answer:
        await answer.read()
        return answer.status


async def create(http, sandbox):
    """The id of a new stored completion."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "store": True}
    async with http.post(f"{sandbox.base_url}/chat/completions", json=body) as answer:
        return (await answer.json())["id"]


async def test_replace_drops_keys_that_are_not_named(start, http, completion_id):
    """The map sent is the map stored."""
    sandbox = await start()

    status, body = await update(http, sandbox, completion_id, {"run": "1"})

    assert (status, body["metadata"], sandbox.store.metadata(completion_id)) == (200, {"run": "1"}, {"run": "1"})


async def test_merge_keeps_keys_that_are_not_named(start, http, completion_id):
    """The map sent is laid over the map stored, and an empty string is a value."""
    sandbox = await start(semantics="merge")

    status, body = await update(http, sandbox, completion_id, {"run": ""})

    assert (status, body["metadata"]) == (200, {"team": "blue", "run": ""})


async def test_null_for_the_whole_map_empties_it_only_when_replacing(start, http, completion_id):
    """With merge no key can be removed at all."""
    replacing, merging = await start(), await start(semantics="merge")

    _, emptied = await update(http, replacing, completion_id, None)
    _, kept = await update(http, merging, completion_id, None)

    assert (emptied["metadata"], kept["metadata"]) == ({}, {"team": "blue"})


async def test_with_merge_the_sixteen_pairs_are_counted_on_the_result(start, http, completion_id):
    """Sixteen new pairs fit in the request, but not beside the one that is stored."""
    sandbox = await start(semantics="merge")
    metadata = {f"k{n}": "v" for n in range(16)}

    status, body = await update(http, sandbox, completion_id, metadata)

    assert (status, body["error"]["code"]) == (400, "object_above_max_properties")
    assert "with 17 properties" in body["error"]["message"]


async def test_a_completion_is_not_found_before_it_is_visible(start, http):
    """Within the lag every operation answers 404, though the completion is stored."""
    sandbox = await start(visibility_lag_s=3600)

    completion_id = await create(http, sandbox)
    status, _ = await update(http, sandbox, completion_id, {})
    async with http.get(f"{sandbox.base_url}/chat/completions") as answer:
        listed = [completion["id"] for completion in (await answer.json())["data"]]

    assert (status, await read(http, sandbox, completion_id)) == (404, 404)
    assert completion_id in sandbox.store.dump()
    assert completion_id not in listed


async def test_a_completion_is_found_once_the_lag_is_over(start, http):
    """Asking again is all a client has to do."""
    sandbox = await start(visibility_lag_s=0.05)
    completion_id = await create(http, sandbox)

    async with asyncio.timeout(30):
        while await read(http, sandbox, completion_id) == 404:
            pass

    assert await read(http, sandbox, completion_id) == 200


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ("trimmed", {"a": "X y", "empty": ""}),
        ("lower_case", {"a": " x y ", "empty": ""}),
        ("non_empty", {"a": " X y "}),
    ],
)
async def test_a_service_may_store_something_else_than_it_is_sent(start, http, completion_id, values, stored):
    """And its answer shows what it stored."""
    sandbox = await start(values=values)

    status, body = await update(http, sandbox, completion_id, {"a": " X y ", "empty": ""})

    assert (status, body["metadata"]) == (200, stored)
    assert sandbox.store.metadata(completion_id) == stored


async def test_a_get_that_lags_shows_what_was_there_before(start, http, completion_id):
    """The update's own answer does not lag; the get catches up."""
    sandbox = await start(read_lag_s=3600)
    url = f"{sandbox.base_url}/chat/completions/{completion_id}"

    _, body = await update(http, sandbox, completion_id, {"k": "1"})
    await update(http, sandbox, completion_id, {"k": "2"})
    async with http.get(url) as answer:
        lagging = (await answer.json())["metadata"]
    sandbox.configure(read_lag_s=0)
    async with http.get(url) as answer:
        shown = (await answer.json())["metadata"]

    assert (body["metadata"], lagging, shown) == ({"k": "1"}, {"team": "blue"}, {"k": "2"})


async def test_any_plausible_id_springs_into_being(start, http):
    """A rehearsal needs no completions made beforehand: ids that look real exist, empty."""
    sandbox = await start(accept_any_id=True)
    real, uuid_form = f"chatcmpl-AyPNi{'n' * 24}", "chatcmpl-123e4567-e89b-12d3-a456-426614174000"

    status, body = await update(http, sandbox, real, {"run": "1"})

    assert (status, body["metadata"], body["created"]) == (200, {"run": "1"}, 1738960610)
    assert await read(http, sandbox, uuid_form) == 200
    assert sandbox.store.metadata(uuid_form) == {}


async def test_an_implausible_or_deleted_id_does_not_spring_into_being(start, http, completion_id):
    """A message id pasted by mistake, a word, and what was deleted stay 404."""
    sandbox = await start(accept_any_id=True)
    async with http.delete(f"{sandbox.base_url}/chat/completions/{completion_id}") as answer:
        assert answer.status == 200

    statuses = [await read(http, sandbox, wrong) for wrong in (f"{completion_id}-0", "order-17", completion_id)]

    assert statuses == [404, 404, 404]


async def test_without_the_option_an_unknown_id_is_unknown(start, http):
    """By default only what was created or loaded exists."""
    sandbox = await start()

    assert await read(http, sandbox, f"chatcmpl-AyPNi{'n' * 24}") == 404
