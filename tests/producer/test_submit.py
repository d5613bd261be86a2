"""A checked file becomes a job: one of its own, whatever else is stored at the same moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.canary import CanaryShare
from ledger.connect import open_ledger
from ledger.errors import JobIdTaken
from ledger.job_spec import KEPT_KEYS
from ledger.keys import JOBS
from ledger.ledger import Ledger
from ledger.row import Patch
from ledger.row_reader import read_row, read_rows
from producer.check import check_rows
from producer.submit import JobRequest, Submitted, submit
from tests.harness.rows import PatchRows

TARGET = "http://127.0.0.1:1/v1"


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """An empty ledger."""
    async with open_ledger(redis_url) as redis:
        yield Ledger(redis)


async def submit_rows(ledger: Ledger, rows: PatchRows, folder: Path, ids: list[str], **order: Any) -> Submitted:
    """Submit rows; the job's id is the first of these that is free."""
    wanted = JobRequest("test", rows.mode, True, TARGET, 2, 3600.0)._replace(**order)
    with check_rows(rows, mode=rows.mode, spool_dir=folder) as checked:
        return await submit(checked, wanted, ledger=ledger, announce=lambda *_: None, new_id=iter(ids).__next__)


async def ids_of(ledger: Ledger, job_id: str) -> list[str]:
    """The completions of a job, in order."""
    spec = (await ledger.jobs.get(job_id)).spec
    return [row.patch.completion_id async for row in read_rows(ledger.redis, spec)]


async def test_two_jobs_that_draw_the_same_id_keep_all_their_rows(ledger: Ledger, tmp_path: Path) -> None:
    """The second one draws again; each has its rows, and its content leads to it."""
    few, many = PatchRows(3), PatchRows(5)

    first = await submit_rows(ledger, few, tmp_path, ["same"])
    second = await submit_rows(ledger, many, tmp_path, ["same", "same", "other"])

    assert (first, second) == (Submitted("same", existed=False), Submitted("other", existed=False))
    assert (len(await ids_of(ledger, "same")), len(await ids_of(ledger, "other"))) == (3, 5)
    again = [(await submit_rows(ledger, rows, tmp_path, ["third"])).job_id for rows in (few, many)]
    assert again == ["same", "other"]
    assert sorted(await ledger.redis.zrange(JOBS, 0, -1)) == [b"other", b"same"], "nothing is left of the third"
    assert await ledger.redis.keys("*third*") == []


async def test_the_same_content_once_more_draws_an_id_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    """Where `--again` meets the id of its former self, too."""
    rows = PatchRows(3)
    await submit_rows(ledger, rows, tmp_path, ["same"])

    again = await submit_rows(ledger, rows, tmp_path, ["same", "other"], again=True)

    assert again == Submitted("other", existed=False)


async def test_ids_that_are_all_taken_end_in_an_error(ledger: Ledger, tmp_path: Path) -> None:
    """Not in an endless search."""
    await submit_rows(ledger, PatchRows(3), tmp_path, ["same"])

    with pytest.raises(JobIdTaken):
        await submit_rows(ledger, PatchRows(5), tmp_path, ["same"] * 100)


async def test_the_rows_of_a_job_are_found_by_their_completion(ledger: Ledger, tmp_path: Path) -> None:
    """Each at the number under which it is stored; not where the index is switched off."""
    rows = PatchRows(5)
    await submit_rows(ledger, rows, tmp_path, ["with"], by="ada@a")
    await submit_rows(ledger, rows, tmp_path, ["without"], again=True, indexed=False)

    for completion_id in rows.ids:
        found = await ledger.row_indexes.find(["with", "without"], completion_id)
        spec = (await ledger.jobs.get("with")).spec
        numbers = found["with"] or []
        assert [(await read_row(ledger.redis, spec, row)).patch.completion_id for row in numbers] == [completion_id]
        assert found["without"] is None


async def test_a_job_keeps_who_submitted_it_and_a_bounded_list_of_keys(ledger: Ledger, tmp_path: Path) -> None:
    """Those that its rows set or remove; of a file with more, so many."""
    many = PatchRows(6)
    for number, patch in enumerate(many.patches.values()):
        patch |= {f"k{number}-{key}": "v" for key in range(KEPT_KEYS // 2)}

    await submit_rows(ledger, PatchRows(3), tmp_path, ["few"], by="ada@a")
    await submit_rows(ledger, many, tmp_path, ["many"])

    few, more = [(await ledger.jobs.get(job_id)).spec for job_id in ("few", "many")]
    assert (few.by, few.keys, few.more_keys) == ("ada@a", ["draft", "reviewed", "team"], False)
    assert (more.by, len(more.keys or ()), more.more_keys) == ("", KEPT_KEYS, True)


async def test_a_canary_is_stored_first_and_read_back_in_order(ledger: Ledger, tmp_path: Path) -> None:
    """It is spread over the input, every row is stored once and found, and readers see the order of the file."""
    rows = PatchRows(101)

    await submit_rows(ledger, rows, tmp_path, ["canary"], shard_rows=15, canary=CanaryShare.parse("20"))

    spec = (await ledger.jobs.get("canary")).spec
    assert (spec.canary, spec.canary_shards, spec.shards) == (20, 2, 8)
    stored = [(await read_row(ledger.redis, spec, row)).patch for row in range(len(rows))]
    canary = [patch.line for patch in stored[:20]]
    assert canary == [1 + number * 101 // 20 for number in range(20)]
    assert [patch.line for patch in stored[20:]] == sorted(set(range(1, 102)) - set(canary))
    assert await ids_of(ledger, "canary") == rows.ids
    for row, patch in enumerate(stored):
        assert await ledger.row_indexes.find(["canary"], patch.completion_id) == {"canary": [row]}


async def test_a_canary_skips_rows_that_were_folded(ledger: Ledger, tmp_path: Path) -> None:
    """Only rows that workers carry out count."""
    rows = PatchRows(50)
    ids = rows.ids
    twice = [*rows, *(Patch(51 + place, ids[place], {"team": "blue"}) for place in range(0, 50, 5))]

    class Twice(PatchRows):
        def __iter__(self) -> Iterator[Patch]:
            return iter(twice)

    await submit_rows(ledger, Twice(50), tmp_path, ["folded"], shard_rows=15, canary=CanaryShare.parse("20"))

    spec = (await ledger.jobs.get("folded")).spec
    assert (spec.canary, spec.rows, spec.folded) == (20, 50, 10)
    assert await ids_of(ledger, "folded") == ids


async def test_a_small_job_is_all_canary(ledger: Ledger, tmp_path: Path) -> None:
    """There are no other shards."""
    await submit_rows(ledger, PatchRows(7), tmp_path, ["small"], canary=CanaryShare.parse("1%"))

    spec = (await ledger.jobs.get("small")).spec
    assert (spec.canary, spec.canary_shards, spec.shards) == (7, 4, 4)
    assert len(await ids_of(ledger, "small")) == 7
