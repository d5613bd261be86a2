"""The rows of a completion are found among all jobs: each one that is there, whatever its hash, and no other job's."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.job_store import STORING_KEEP_S
from ledger.keys import JobKeys
from ledger.row import Patch
from ledger.row_index import BUCKET_ROWS, ENTRY_BYTES, HASH_BYTES, SEARCHED_TOGETHER, IndexBuilder, id_hash


def index_of(ids: list[str], shard_rows: int = 500) -> bytes:
    """Build the index of rows with these ids."""
    builder = IndexBuilder(len(ids))
    for first in range(0, len(ids), shard_rows):
        shard = [Patch(2, completion_id, {"k": "v"}) for completion_id in ids[first : first + shard_rows]]
        builder.add(msgspec.msgpack.encode(shard))
    return b"".join(builder.parts())


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40))
def test_an_index_holds_each_row_once_in_the_order_of_the_hashes(ids):
    """Twelve bytes a row, as the script expects them."""
    index = index_of(ids, shard_rows=7)

    entries = [index[at : at + ENTRY_BYTES] for at in range(0, len(index), ENTRY_BYTES)]
    assert len(entries) == len(ids)
    assert entries == sorted(entries)
    rows = {entry[:HASH_BYTES]: int.from_bytes(entry[HASH_BYTES:], "big") for entry in entries}
    assert rows == {id_hash(completion_id): row for row, completion_id in enumerate(ids)}


async def test_every_row_is_found_and_no_stranger(harness):
    """In an index of more than one bucket; hashes take all byte values, which a locale may sort otherwise."""
    spec = harness.spec(rows=0)
    ids = [f"chatcmpl-{number}" for number in range(BUCKET_ROWS + 1000)]
    await harness.redis.set(JobKeys(spec.job_id).row_index, index_of(ids))

    for row in [0, 1, *range(37, len(ids), 997), len(ids) - 1]:
        assert await harness.ledger.row_indexes.find([spec.job_id], ids[row]) == {spec.job_id: [row]}
    strangers = [await harness.ledger.row_indexes.find([spec.job_id], f"other-{number}") for number in range(50)]
    assert strangers == [{spec.job_id: []}] * 50


async def test_jobs_are_searched_in_groups_and_one_without_an_index_is_named(harness):
    """It was stored by release one, or with the index switched off: nothing is known of it, rather than no row."""
    jobs = [f"job-{number}" for number in range(2 * SEARCHED_TOGETHER + 1)]
    for number, job_id in enumerate(jobs[1:]):
        await harness.redis.set(JobKeys(job_id).row_index, index_of([f"id-{number % 3}", "all", f"only-{number}"]))

    found = await harness.ledger.row_indexes.find(jobs, "id-1")

    assert list(found) == jobs
    assert found[jobs[0]] is None
    assert [found[job_id] for job_id in jobs[1:]] == [
        [0] if number % 3 == 1 else [] for number in range(2 * SEARCHED_TOGETHER)
    ]
    assert await harness.ledger.row_indexes.find([], "id-1") == {}


async def test_ids_that_share_a_hash_are_all_found(harness):
    """Each is compared with its stored patch afterwards."""
    entry = index_of(["x"])
    again = entry[:HASH_BYTES] + (7).to_bytes(4, "big")
    others = sorted([index_of(["y"]), index_of(["z"]), entry, again])
    await harness.redis.set(JobKeys("j").row_index, b"".join(others))

    assert await harness.ledger.row_indexes.find(["j"], "x") == {"j": [0, 7]}


@pytest.mark.parametrize("times", [1, 2])
async def test_a_part_that_is_stored_twice_is_there_once(harness, times):
    """The answer to the first may be lost; while the job is being stored, what is there ends by itself."""
    index = index_of([f"id-{number}" for number in range(100)])
    for _ in range(times):
        await harness.ledger.row_indexes.store("j", 0, index[:600], size=len(index))
        await harness.ledger.row_indexes.store("j", 600, index[600:], size=len(index))

    assert await harness.redis.get(JobKeys("j").row_index) == index
    assert 0 < await harness.redis.ttl(JobKeys("j").row_index) <= STORING_KEEP_S
