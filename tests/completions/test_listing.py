"""Reading the list page by page over real HTTP: whatever comes, goes or fails meanwhile, each completion comes once."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from aiohttp import web

from completions.client import open_api
from completions.errors import CursorLost, KeyRefused, Retryable, RowFailed, StopJob
from completions.list_place import nearest_end
from completions.listing import ATTEMPTS, Cursor, ListQuery, open_list
from completions.target import Target
from ledger.ledger import Ledger
from ratelimit.limits import Limit, SharedLimit
from sandbox.completion import Completion, new_id

NOON = 1_795_000_000
SHARED = SharedLimit("relabel:limit:list", Limit(2000.0, 200))


def an_id(number, created):
    return new_id(created, f"{number:024d}")


def fill(sandbox, count, *, per_second=1, start=NOON, **fields):
    """Store completions, the oldest first, so many of which were created in each second."""
    made = []
    for number in range(count):
        created = start + number // per_second
        completion = Completion(an_id((number * 7919) % 1_000_003, created), created, {"n": str(number)}, **fields)
        sandbox.store.add(completion)
        made.append(completion.id)
    return made


@pytest.fixture
async def start_empty(start):
    async def start_it(**options):
        sandbox = await start(**options)
        for each in list(sandbox.store.dump()):
            sandbox.store.delete(each)
        return sandbox

    return start_it


@contextlib.asynccontextmanager
async def reading(redis, base_url, key="sk-list-key-01234567", query=None, *, read_key=None, **options):
    async with (
        open_api(Target(base_url, key), in_flight=2, read_key=read_key) as api,
        open_list(Ledger(redis), api, SHARED, query or ListQuery(), name="test", **options) as reader,
    ):
        yield reader


async def ids_of(redis, base_url, query=None, **options):
    async with reading(redis, base_url, query=query, **options) as reader:
        return [item.id async for page in reader.pages() for item in page.items]


@contextlib.asynccontextmanager
async def serving(answer):
    """Serve the list by a function of the query, which returns a document or an aiohttp response."""

    async def handle(request):
        document = answer(request)
        return document if isinstance(document, web.StreamResponse) else web.json_response(document)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_each_completion_comes_once_in_the_order_of_creation(redis, start_empty, order):
    sandbox = await start_empty()
    stored = fill(sandbox, 350, per_second=40)

    read = await ids_of(redis, sandbox.base_url, ListQuery(order=order))

    assert sorted(read) == sorted(stored)
    assert len(sandbox.log.entries) == 4
    assert [entry.operation for entry in sandbox.log.entries] == ["list"] * 4
    created = [stored.index(each) // 40 for each in read]
    assert created == sorted(created, reverse=order == "desc")


async def test_a_page_shows_id_creation_model_and_metadata(redis, start_empty):
    sandbox = await start_empty()
    (only,) = fill(sandbox, 1, model="gpt-4o-2024-08-06")

    async with reading(redis, sandbox.base_url) as reader:
        (page,) = [page async for page in reader.pages()]

    assert page.items == [(only, NOON, "gpt-4o-2024-08-06", {"n": "0"})]
    assert (page.requests, page.cursor.ended, page.cursor.read) == (1, True, 1)


async def test_the_server_filters_by_model_and_metadata_as_they_are(redis, start_empty):
    sandbox = await start_empty()
    fill(sandbox, 3)
    odd = {"cost center & more": "a=b&c#d é"}
    sandbox.store.add(Completion(an_id(999, NOON), NOON, odd | {"k": "v"}, model="other/model"))

    read = await ids_of(redis, sandbox.base_url, ListQuery(model="other/model", metadata=odd))

    assert read == [an_id(999, NOON)]


async def test_what_is_deleted_or_created_meanwhile_costs_no_other_completion(redis, start_empty):
    """The last of each page is deleted before the next is asked for: it goes on from one before it."""
    sandbox = await start_empty()
    stored = fill(sandbox, 1000, per_second=60)
    deleted, read = set(), []

    async with reading(redis, sandbox.base_url) as reader:
        async for page in reader.pages():
            read += [item.id for item in page.items]
            if page.items and len(deleted) < 6:
                deleted.add(page.items[-1].id)
                sandbox.store.delete(page.items[-1].id)
                fill(sandbox, 5, start=NOON + 100_000 + len(read))
        doubts = reader.cursor.doubts.sentences()

    assert len(read) == len(set(read))
    assert set(read) == set(stored)
    assert doubts == []


async def test_it_begins_again_where_no_place_is_left_and_gives_nothing_twice(redis, start_empty):
    sandbox = await start_empty()
    stored = fill(sandbox, 1000, per_second=60)
    read = []

    async with reading(redis, sandbox.base_url, query=ListQuery(order="asc")) as reader:
        async for page in reader.pages():
            read += [item.id for item in page.items]
            if len(read) == 500:
                for each in read:
                    sandbox.store.delete(each)
        doubts = reader.cursor.doubts

    assert sorted(read) == sorted(stored)
    assert (doubts.restarts, doubts.repeats) == (1, 0)
    assert len(doubts.sentences()) == 1


async def test_a_stored_cursor_goes_on_where_another_process_was_killed(redis, start_empty):
    sandbox = await start_empty()
    stored = fill(sandbox, 730, per_second=300)
    read = []
    async with reading(redis, sandbox.base_url) as reader:
        async for page in reader.pages():
            read += [item.id for item in page.items]
            if page.cursor.pages == 3:
                kept = msgspec.json.encode(page.cursor)
                break
    sandbox.store.delete(read[-1])

    cursor = msgspec.json.decode(kept, type=Cursor)
    read += await ids_of(redis, sandbox.base_url, cursor=cursor)

    assert sorted(read) == sorted(stored)
    assert len(kept) < 100_000


async def test_a_cursor_of_a_reading_that_ended_reads_nothing(redis, start_empty):
    sandbox = await start_empty()
    fill(sandbox, 3)
    async with reading(redis, sandbox.base_url) as reader:
        (page,) = [page async for page in reader.pages()]

    assert await ids_of(redis, sandbox.base_url, cursor=page.cursor) == []
    assert len(sandbox.log.entries) == 1


@pytest.mark.parametrize(
    ("order", "since", "until", "most_pages"),
    [("desc", 900, None, 2), ("asc", None, 100, 2), ("desc", 300, 400, 9), ("asc", 300, 400, 6)],
)
async def test_time_bounds_choose_exactly_and_end_the_reading(redis, start_empty, order, since, until, most_pages):
    """`since` is included, `until` is not, and no page further than needed is read."""
    sandbox = await start_empty()
    stored = fill(sandbox, 1000)
    bounds = {name: None if at is None else NOON + at for name, at in (("since", since), ("until", until))}

    read = await ids_of(redis, sandbox.base_url, ListQuery(order=order), **bounds)

    assert sorted(read) == sorted(stored[since:until])
    assert len(sandbox.log.entries) <= most_pages


def test_the_reading_begins_at_the_end_that_is_nearer():
    day, now = 86_400, NOON
    assert nearest_end(None, None, now=now) == "desc"
    assert nearest_end(now - day, None, now=now) == "desc"
    assert nearest_end(now - 2 * day, now - day, now=now) == "desc"
    assert nearest_end(None, now - 20 * day, now=now) == "asc"
    assert nearest_end(now - 29 * day, now - 28 * day, now=now) == "asc"


@pytest.mark.parametrize("kind", ["error_500", "html_502", "rate_limited", "bad_body_truncated", "reset_after"])
async def test_a_page_that_fails_is_tried_again_from_the_same_place(redis, start_empty, kind):
    sandbox = await start_empty()
    stored = fill(sandbox, 250)
    sandbox.add_faults([{"fault": kind, "match": {"operation": "list"}, "after": 1, "times": 1, "seconds": 0.01}])

    async with reading(redis, sandbox.base_url) as reader:
        read = [item.id async for page in reader.pages() for item in page.items]

    assert sorted(read) == sorted(stored)
    assert reader.retries + reader.throttled == 1


async def test_a_page_that_always_fails_ends_the_reading_with_its_reason(redis, start_empty):
    sandbox = await start_empty()
    fill(sandbox, 250)
    busy = {"status": 409, "headers": {"retry-after-ms": "10"}}
    sandbox.add_faults([{"fault": "answer", "match": {"operation": "list"}, "after": 1, "answer": busy}])

    with pytest.raises(Retryable) as caught:
        await ids_of(redis, sandbox.base_url)

    assert caught.value.status == 409


async def test_a_failing_api_is_waited_for_beyond_the_tries_of_a_page(redis, start_empty):
    """What this reading read right before is no sign that the API works and the page is at fault."""
    sandbox = await start_empty()
    fill(sandbox, 250)
    failing = {"status": 503, "headers": {"retry-after-ms": "10"}}
    rule = {"fault": "answer", "match": {"operation": "list"}, "after": 1, "times": ATTEMPTS + 2, "answer": failing}
    sandbox.add_faults([rule])

    assert len(await ids_of(redis, sandbox.base_url)) == 250


async def test_a_refused_key_is_read_again_once(redis, start_empty):
    sandbox = await start_empty(api_key="sk-new-key-0123456789")
    stored = fill(sandbox, 150)

    async with reading(redis, sandbox.base_url, read_key=lambda: "sk-new-key-0123456789") as reader:
        read = [item.id async for page in reader.pages() for item in page.items]
    with pytest.raises(KeyRefused):
        await ids_of(redis, sandbox.base_url, read_key=lambda: "sk-another-wrong-key")

    assert sorted(read) == sorted(stored)


@pytest.mark.parametrize("status", [404, 405])
async def test_a_server_without_a_list_is_named(redis, status):
    body = {"detail": "Not Found"}
    async with serving(lambda _request: web.json_response(body, status=status)) as base_url:
        with pytest.raises(StopJob) as caught:
            await ids_of(redis, base_url)

    assert (caught.value.code, caught.value.status) == ("no_list", status)


async def test_a_query_that_is_refused_says_why(redis):
    body = {"error": {"message": "Unknown model", "code": "invalid_value", "param": "model", "type": "x"}}
    async with serving(lambda _request: web.json_response(body, status=400)) as base_url:
        with pytest.raises(RowFailed) as caught:
            await ids_of(redis, base_url)

    assert not isinstance(caught.value, CursorLost)
    assert caught.value.message == "Unknown model"


async def test_items_in_other_shapes_are_read_as_far_as_they_go(redis):
    data = [
        {"id": "chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2"},
        {"id": "b-00000001", "created": 17.9, "model": None, "metadata": None},
        {"id": "c-00000001", "created": "yesterday", "model": 4, "metadata": {"a": 1}},
        {"id": "d-00000001", "created": 18e300, "metadata": {"k": "v" * 70_000}, "choices": [{"x": None}]},
        {"id": "e-00000001", "created": True, "metadata": ["a"]},
        {"id": "has space"},
        {"id": 7},
        "text",
        None,
    ]
    async with (
        serving(lambda _request: {"data": data}) as base_url,
        reading(redis, base_url) as reader,
    ):
        (page,) = [page async for page in reader.pages()]

    assert page.items == [
        ("chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2", 1_738_960_610, None, None),
        ("b-00000001", 17, None, None),
        ("c-00000001", None, None, None),
        ("d-00000001", None, None, None),
        ("e-00000001", None, None, None),
    ]
    assert page.cursor.doubts.unusable == 4


async def test_half_of_a_surrogate_pair_costs_nothing_but_what_it_stands_in(redis):
    """JSON may hold one where a model's text was cut within a character; it cannot be written as UTF-8."""
    data = [
        {"id": "a-00000001", "created": 5, "model": "m", "metadata": {"k": "v"}, "choices": ["cut \ud83d"]},
        {"id": "b-00000001", "created": 4, "model": "m\ud83d", "metadata": {"k": "\udc00"}},
        {"id": "c-0000000\ud83d", "created": 3, "model": "m", "metadata": {}},
    ]
    async with (
        serving(lambda _request: {"data": data, "has_more": False}) as base_url,
        reading(redis, base_url) as reader,
    ):
        (page,) = [page async for page in reader.pages()]

    assert page.items == [("a-00000001", 5, "m", {"k": "v"}), ("b-00000001", 4, None, None)]
    assert page.cursor.doubts.unusable == 1


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"data": 1}', b"<html>", b"", b'{"data": [{"id": "x'])
async def test_what_is_no_list_is_a_bad_response(redis, body):
    async with (
        serving(lambda _request: web.Response(body=body)) as base_url,
        open_api(Target(base_url, "sk-list-key-01234567"), in_flight=2) as api,
    ):
        with pytest.raises(Retryable) as caught:
            await api.list_page(ListQuery(), after=None, request_name="1")

    assert caught.value.code == "bad_response"


async def test_a_list_of_null_is_empty(redis):
    async with serving(lambda _request: {"object": "list", "data": None, "has_more": False}) as base_url:
        assert await ids_of(redis, base_url) == []


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_parts(redis):
    limits = []

    def answer(request):
        limits.append(int(request.query["limit"]))
        number = int(request.query.get("after", "x-0000000").split("-")[1])
        text = "x" * 500_000
        items = [{"id": f"x-{n:07d}", "text": text} for n in range(number + 1, min(number + limits[-1], 90) + 1)]
        return {"data": items, "has_more": number + limits[-1] < 90}

    async with serving(answer) as base_url:
        read = await ids_of(redis, base_url)

    assert read == [f"x-{n:07d}" for n in range(1, 91)]
    assert limits[:2] == [100, 50]


@pytest.mark.parametrize("deleted_cursor", ["refused", "in_place", "empty", "ignored"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_of_a_list_in_motion_everything_is_read_once_that_stays(redis, start_empty, deleted_cursor, order):
    """A third of the pages begin after a deleted completion, others create some, the list lags, and pages fail."""
    sandbox = await start_empty(deleted_cursor=deleted_cursor, list_lag_s=0.2, arrivals_per_second=20)
    sandbox.store.fill(3000, days=2)
    stored = set(sandbox.store.dump())
    lists = {"operation": "list"}
    sandbox.add_faults(
        [
            {"fault": "cursor_deleted", "match": lists, "probability": 0.3},
            {"fault": "bad_body_truncated", "match": lists, "probability": 0.05, "times": 1},
        ]
    )

    async with reading(redis, sandbox.base_url, query=ListQuery(order=order)) as reader:
        read = [item.id async for page in reader.pages() for item in page.items]

    assert len(read) == len(set(read))
    assert stored <= set(read)
    assert sandbox.log.stats.by_fault["cursor_deleted"] >= 3


@pytest.mark.parametrize("shown", ["nothing", "the first page"])
@pytest.mark.parametrize("deleted", [1, 90])
async def test_whatever_a_server_shows_after_a_deleted_completion_the_list_is_read_once(redis, shown, deleted):
    stored = set(range(1000))

    def answer(request):
        after = request.query.get("after")
        first = 1000 if after is None else int(after[2:])
        if after is not None and first not in stored:
            if shown == "nothing":
                return {"data": [], "has_more": False}
            first = 1000
        found = sorted((n for n in stored if n < first), reverse=True)
        items = [{"id": f"x-{n:07d}", "created": NOON + n, "metadata": {}} for n in found[:100]]
        return {"data": items, "has_more": len(found) > 100}

    async with serving(answer) as base_url, reading(redis, base_url) as reader:
        read = []
        async for page in reader.pages():
            read += [int(item.id[2:]) for item in page.items]
            stored -= {int(item.id[2:]) for item in page.items[-deleted:]}
        doubts = reader.cursor.doubts

    assert sorted(read) == list(range(1000))
    assert doubts.short == 0


@pytest.mark.parametrize(
    "shown", ["the first page", "the first page, with more on top", "two pages in turn", "nothing, and more of it"]
)
async def test_a_list_that_repeats_itself_ends_with_an_error(redis, shown):
    asked = []

    def answer(request):
        asked.append(request.query.get("after"))
        if shown == "nothing, and more of it":
            return {"data": [], "has_more": True}
        part = len(asked) % 2 if shown == "two pages in turn" else 0
        first = len(asked) if shown.endswith("on top") else 0
        numbers = range(first, first - 100, -1)
        return {"data": [{"id": f"x-{part}-{n:06d}", "created": NOON + n} for n in numbers], "has_more": True}

    async with serving(answer) as base_url:
        with pytest.raises(StopJob) as caught:
            await ids_of(redis, base_url)

    assert caught.value.code == "list_stuck"
    assert len(asked) < 60


async def test_a_list_in_no_order_is_read_to_its_end_and_that_is_said(redis):
    items = [{"id": f"x-{n:07d}", "created": NOON + (n * 7919) % 1000} for n in range(1000)]

    def answer(request):
        after = request.query.get("after")
        place = 0 if after is None else int(after[2:]) + 1
        return {"data": items[place : place + 100], "has_more": place + 100 < len(items)}

    async with serving(answer) as base_url, reading(redis, base_url, since=NOON + 900) as reader:
        read = [item.id async for page in reader.pages() for item in page.items]

    assert sorted(read) == [item["id"] for item in items if item["created"] >= NOON + 900]
    assert reader.cursor.doubts.disorder


async def test_completions_without_a_time_are_left_out_where_time_matters_and_that_is_said(redis):
    items = [{"id": "x-0000001", "created": NOON}, {"id": "x-0000002"}, {"id": "x-0000003", "created": NOON}]
    async with (
        serving(lambda _request: {"data": items, "has_more": False}) as base_url,
        reading(redis, base_url, since=NOON) as reader,
    ):
        read = [item.id async for page in reader.pages() for item in page.items]

    assert read == ["x-0000001", "x-0000003"]
    assert reader.cursor.doubts.undated == 1


async def test_azure_gets_its_version_beside_the_query(redis, start_empty):
    sandbox = await start_empty()
    (only,) = fill(sandbox, 1)
    target = Target(f"{sandbox.address}/openai", "sk-list-key-01234567", auth="api-key", version="2025-02-01-preview")

    async with open_api(target, in_flight=2) as api:
        page = await api.list_page(ListQuery(), after=None, request_name="1")

    assert [item.id for item in page.items] == [only]
