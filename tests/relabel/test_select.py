"""Selecting over a real list: what is found, written, refused, and gone on with after an interruption."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import stat

import pytest
import redis as redis_client
from pydantic import SecretStr

from completions.listing import ATTEMPTS
from config.settings import Settings
from ledger.connect import new_client
from ledger.errors import LedgerUnreachable
from ledger.ledger import Ledger
from relabel.errors import InvalidInput, Unreachable
from relabel.list_reading import read_list
from relabel.select import check_selection, select, select_facts, selecting
from relabel.session import Session
from sandbox.completion import Completion, new_id
from selection.options import FilterOptions, LabelOptions, SelectOptions
from selection.selection import read_selection
from selection.spool import open_spool

NOON = 1_795_000_000
SEARCH = FilterOptions(where='metadata.team == "search"')
EVAL = LabelOptions(set=("dataset=eval",))


class Scene:
    """A sandbox of 450 completions, a third of them of team search, and a session to select them."""

    def __init__(self, sandbox, session, folder):
        self.sandbox, self.session, self.folder = sandbox, session, folder

    async def select(self, options=SelectOptions(SEARCH, EVAL), name="out.csv", progress=lambda _: None):  # noqa: B008
        return await select(self.session, options, output=name and self.folder / name, progress=progress)

    def lists(self):
        return sum(entry.operation == "list" for entry in self.sandbox.log.entries)

    def rows(self, name="out.csv"):
        return list(csv.DictReader(io.StringIO((self.folder / name).read_bytes().decode(), newline="")))

    def files(self):
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())


@pytest.fixture
async def scene(start, redis, tmp_path):
    sandbox = await start()
    for each in list(sandbox.store.dump()):
        sandbox.store.delete(each)
    for number in range(450):
        created = NOON + number
        metadata = {"team": ("search", "docs", "support")[number % 3], "score": "high" if number % 9 == 0 else "0.9"}
        model = "gpt-4o-2024-08-06" if number % 2 else "gpt-4o-mini-2024-07-18"
        sandbox.store.add(Completion(new_id(created, f"{number:024d}"), created, metadata, model))
    settings = Settings(
        _env_file=None,
        OPENAI_BASE_URL=sandbox.base_url,
        OPENAI_API_KEY=SecretStr("sk-select-key-0123456789"),
        rate={"per_minute": 60_000},
        state_dir=tmp_path / "state",
    )
    return Scene(sandbox, Session(Ledger(redis), settings, "ada@laptop"), tmp_path)


async def test_what_matches_is_written_for_its_owner_alone(scene):
    """Newest first, with what was seen; nothing else is left."""
    selected = await scene.select()

    rows = scene.rows()
    assert [int(row["completion_id"][-24:]) for row in rows] == list(range(447, -1, -3))
    assert {row["dataset"] for row in rows} == {"eval"}
    assert json.loads(rows[0]["relabel.metadata"])["team"] == "search"
    assert stat.S_IMODE((scene.folder / "out.csv").stat().st_mode) == 0o600
    assert scene.files() == ["out.csv"]
    assert select_facts(selected) | {"seconds": 0} == {
        "read": 450,
        "matched": 150,
        "left_out": {},
        "requests": 5,
        "seconds": 0,
        "output": str(scene.folder / "out.csv"),
        "rows": 150,
        "doubts": [],
    }


async def test_what_nothing_matches_leaves_no_file(scene):
    """And is no error."""
    selected = await scene.select(SelectOptions(FilterOptions(metadata=("team=none",)), EVAL))

    assert (selected.found.matched, selected.output, scene.files()) == (0, None, [])


async def test_without_a_file_the_completions_are_counted(scene):
    """With those that lack the number that is asked for; nothing is kept of them."""
    where = 'metadata.team == "search" and number(metadata.score) > 0.5'
    selected = await scene.select(SelectOptions(FilterOptions(where=where)), name=None)

    assert selected.found.matched == 100
    assert selected.found.left_out == {"metadata.score missing or no number": 50}
    assert list((scene.folder / "state").iterdir()) == []


async def test_a_time_bounds_the_pages_that_are_read(scene):
    """From the end that is nearer."""
    selected = await scene.select(
        SelectOptions(FilterOptions(since="2026-11-18T11:13:20Z", where="has(metadata.team)"))
    )

    assert selected.found.matched == 450 - (1_795_000_400 - NOON)
    assert selected.found.requests == 1


async def test_a_limit_ends_the_reading(scene):
    """The newest ones."""
    selected = await scene.select(SelectOptions(SEARCH, limit=40), name="out.jsonl")

    lines = (scene.folder / "out.jsonl").read_text().splitlines()
    ids = [json.loads(line)["completion_id"] for line in lines]
    assert [int(each[-24:]) for each in ids] == list(range(447, 447 - 3 * 40, -3))
    assert selected.found.requests == 2


async def test_a_sample_is_taken_of_all_that_match(scene):
    """The same one each time, and another one with another seed."""

    async def sampled(name, seed=None):
        selected = await scene.select(SelectOptions(SEARCH, EVAL, sample="20", seed=seed), name=name)
        assert (selected.found.matched, selected.rows) == (150, 20)
        return (scene.folder / name).read_text()

    assert await sampled("a.csv") == await sampled("b.csv", 0) != await sampled("c.csv", 1)


async def test_a_selection_as_patches_holds_what_was_seen(scene):
    """For a plan, which reads nothing twice."""
    async with selecting(scene.session, SelectOptions(SEARCH, EVAL), output=None, progress=lambda _: None) as found:
        patches = [patch async for patch in found.patches()]

    assert len(patches) == 150
    assert patches[0].metadata == {"dataset": "eval"}
    assert patches[0].seen == {"team": "search", "score": "0.9"}
    assert [patch.line for patch in patches] == list(range(1, 151))


async def interrupt_after(scene, pages, name="out.csv"):
    """Select until so many pages are read, then cancel, as Ctrl-C does."""
    task = None

    def progress(found):
        if found.requests >= pages:
            task.cancel()

    task = asyncio.create_task(scene.select(name=name, progress=progress))
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("name", ["out.csv", None])
async def test_the_same_selection_goes_on_with_an_interrupted_one(scene, name):
    """No page is read twice, and the counts are those of both."""
    await interrupt_after(scene, 3, name)
    assert scene.files() == (["out.csv.partial"] if name else [])

    seen = []
    selected = await scene.select(name=name, progress=seen.append)

    assert (seen[0].requests, seen[0].read) == (3, 300)
    assert (selected.found.read, selected.found.matched, selected.found.requests) == (450, 150, 5)
    assert scene.lists() == 5
    assert scene.files() == (["out.csv"] if name else [])


async def test_an_interrupted_selection_is_as_exact_as_one_in_one_go(scene):
    """Also where completions came and went meanwhile: the one after which it would go on is gone."""
    await scene.select(name="whole.csv")
    await interrupt_after(scene, 2)
    ids = sorted(scene.sandbox.store.dump(), key=lambda each: int(each[-24:]))
    for each in ids[245:255]:  # at the end of the second page
        scene.sandbox.store.delete(each)
    scene.sandbox.store.add(Completion(new_id(NOON + 999, "9" * 24), NOON + 999, {"team": "search"}))

    await scene.select()

    gone = ids[245:250]  # the others of these had been read
    assert scene.rows() == [row for row in scene.rows("whole.csv") if row["completion_id"] not in gone]


@pytest.mark.parametrize("deleted_cursor", ["refused", "ignored", "empty"])
async def test_a_selection_is_exact_while_completions_come_and_go(scene, deleted_cursor):
    """Each one that matched all the time is there once, and nothing else than what matched when it was read."""
    scene.sandbox.configure(deleted_cursor=deleted_cursor)
    scene.sandbox.add_faults(rules=[{"fault": "cursor_deleted", "match": {"operation": "list"}, "probability": 0.4}])
    store = scene.sandbox.store
    before = {each for each, metadata in store.dump().items() if metadata["team"] == "search"}
    added = 0

    def progress(_found):
        nonlocal added
        for _ in range(7):
            added += 1
            created = NOON + 1000 + added
            store.add(Completion(new_id(created, f"{added:024d}"), created, {"team": "search"}))

    await scene.select(progress=progress)

    ids = [row["completion_id"] for row in scene.rows()]
    stayed = before & store.dump().keys()
    assert len(ids) == len(set(ids))
    assert stayed <= set(ids)
    assert all(json.loads(row["relabel.metadata"])["team"] == "search" for row in scene.rows())


async def test_other_options_do_not_go_on_with_it(scene):
    """Nor is it lost."""
    await interrupt_after(scene, 2)

    with pytest.raises(InvalidInput, match="other options"):
        await scene.select(SelectOptions(SEARCH))
    assert scene.files() == ["out.csv.partial"]


async def test_an_api_that_fails_is_named_and_gone_on_with(scene):
    """A refused key: what was read until then is kept."""
    await interrupt_after(scene, 2)
    scene.sandbox.configure(api_key="another-key-0123456789")

    with pytest.raises(Unreachable, match="goes on where this one ended"):
        await scene.select()

    scene.sandbox.configure(api_key=None)
    assert (await scene.select()).found.requests == 5


@pytest.mark.parametrize("fault", ["no_metadata", "null_metadata"])
async def test_what_a_page_does_not_show_is_read_by_itself(scene, fault):
    """One request each; what that does not show either is left out, and named."""
    scene.sandbox.add_faults(rules=[{"fault": fault, "match": {"operation": "list"}}])

    selected = await scene.select(SelectOptions(SEARCH, EVAL, limit=3))

    assert (selected.rows, selected.found.left_out) == (3, {})
    assert selected.found.requests == 1 + 100


@pytest.mark.whole
async def test_a_completion_that_can_never_be_read_is_left_out(scene):
    """What its GET answers is no JSON, each time: it does not end the selection."""
    scene.sandbox.add_faults(
        rules=[
            {"fault": "null_metadata", "match": {"operation": "list"}},
            {
                "fault": "answer",
                "match": {"operation": "get"},
                "answer": {"status": 200, "body": "{"},
                "times": ATTEMPTS,
            },
        ]
    )

    selected = await scene.select(SelectOptions(FilterOptions(since="2026-11-18T11:14:08Z"), EVAL))

    assert selected.found.left_out == {"metadata not shown by the API": 1}


async def test_metadata_that_is_never_shown_leaves_its_completion_out(scene):
    """As nobody knows whether it matches."""
    scene.sandbox.add_faults(rules=[{"fault": "no_metadata"}])

    selected = await scene.select(SelectOptions(FilterOptions(since="2026-11-18T11:14:00Z"), EVAL))

    assert selected.found.matched == 0
    assert list(selected.found.left_out) == ["metadata not shown by the API"]


def shut_down(server):
    server.shutdown(nosave=True)


def fill_up(server):
    server.config_set("maxmemory", 1)


@pytest.mark.parametrize(("trouble", "said"), [(shut_down, "cannot be reached"), (fill_up, "is out of memory")])
async def test_redis_that_is_away_or_full_ends_the_reading_and_loses_nothing(
    scene, private_redis, tmp_path, trouble, said
):
    """Without it there are no slots of the rate: the wait has an end, also where the server answers."""
    selection, client = read_selection(SelectOptions(SEARCH, EVAL), now=NOON), new_client(private_redis.ledger_url)
    session = scene.session._replace(ledger=Ledger(client))

    def progress(found):
        if found.requests == 2:
            with redis_client.from_url(private_redis.ledger_url) as stopper:
                trouble(stopper)

    with open_spool(tmp_path / "x.partial", "f", now=NOON, keep_s=60.0) as spool:
        with pytest.raises(LedgerUnreachable, match=f"{said}.* The same command goes on"):
            await read_list(session, selection, spool, progress, away_s=0.5)
        assert spool.mark.cursor.read == 200
    await client.aclose()


async def test_a_page_that_fails_is_read_again(scene):
    """Once, and each completion comes once."""
    scene.sandbox.add_faults(rules=[{"fault": "error_500", "match": {"operation": "list"}, "times": 2, "after": 1}])

    seen = []
    selected = await scene.select(progress=seen.append)

    assert (selected.rows, selected.found.requests) == (150, 7)
    waits = [found.waits_for for found in seen]
    assert [bool(each) for each in waits] == [False, False, True, True, False, False, False, False]
    assert "500" in waits[2]


@pytest.mark.whole
async def test_an_api_that_never_answers_is_not_waited_for(scene):
    """A wrong URL, say: it ends after few tries, leaves nothing, and does not speak of going on."""
    scene.sandbox.add_faults(rules=[{"fault": "error_500", "match": {"operation": "list"}}])

    with pytest.raises(Unreachable) as caught:
        await scene.select()

    assert "same command" not in str(caught.value)
    assert (scene.lists(), scene.files()) == (ATTEMPTS, [])


async def test_a_file_that_cannot_be_written_loses_nothing(scene):
    """What was found is kept, and the next call reads nothing."""

    def progress(found):
        if found.read == 450:
            (scene.folder / "out.csv").mkdir()

    with pytest.raises(InvalidInput, match="the same command goes on"):
        await scene.select(progress=progress)

    (scene.folder / "out.csv").rmdir()
    assert (await scene.select()).rows == 150
    assert scene.lists() == 5


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        (SelectOptions(FilterOptions(where="metadata.score > 0.8")), None, "write number(metadata.score) > 0.8"),
        (SelectOptions(), "out.txt", ".csv or .jsonl"),
        (SelectOptions(), "out.csv.gz", ".csv or .jsonl"),
        (SelectOptions(), "there.csv", "is there already"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_the_first_request(scene, options, name, said):
    """And leaves nothing behind."""
    (scene.folder / "there.csv").write_text("edited")

    with pytest.raises(InvalidInput) as caught:
        await scene.select(options, name=name)

    assert said in str(caught.value)
    assert (scene.lists(), scene.files()) == (0, ["there.csv"])
    with pytest.raises(InvalidInput):
        check_selection(options, name and scene.folder / name)
