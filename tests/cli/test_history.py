"""`relabel history`: what changed a completion, as people see it."""

from __future__ import annotations

import json

import pytest

from ledger.codec import BeforeImage
from ledger.job import Traffic
from ledger.job_spec import JobSpec
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.row import Metadata, Outcome
from ledger.settlements import Settlement
from tests.harness.rows import PatchRows

ID = next(iter(PatchRows(1).ids))
AT = 1_795_000_000


async def end(ledger: Ledger, spec: JobSpec, before: Metadata, outcome: Outcome, *, at: int = AT) -> None:
    """End the job's only row as a worker does, at this second."""
    await ledger.shards.lease(spec.job_id, 0, "w")
    shard = await ledger.shards.load(spec.job_id, 0, "w")
    assert shard is not None
    await ledger.settlements.journal(shard, [BeforeImage(0, before)], [])
    await ledger.settlements.settle(shard, [Settlement(0, outcome)], Traffic())
    await ledger.redis.set(JobKeys(spec.job_id).times, at.to_bytes(4, "big"))
    await ledger.shards.release(shard)


@pytest.fixture
async def changed(ledger, make_job):
    """A job that changed the completion: a key set anew, and one with a long value."""
    spec = await make_job(f'id,team,note\n{ID},search,"{"long " * 60}"\n')
    spec = (await ledger.jobs.get(spec.job_id)).spec
    await end(ledger, spec, {"team": "none"}, Outcome.UPDATED)
    return spec


async def test_a_history_is_read_at_80_columns(changed, relabel):
    """Ids and values are whole; a value that is too long for the line stands below it."""
    ended = await relabel("history", ID, COLUMNS="80")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"2026-11-18 11:06:40 UTC  updated  job {changed.job_id}",
        "  patches.csv, submitted by (not recorded)",
        "  note:",
        "    from (absent)",
        f'    to   "{"long " * 60}"',
        '  team: "none" -> "search"',
    ]


async def test_json_has_whole_values_and_the_time_to_the_second(changed, relabel):
    """For programs; null is a key that is not there."""
    facts = json.loads((await relabel("history", ID, "--json")).out)

    assert (facts["completion_id"], facts["searched"], facts["not_searched"]) == (ID, 1, [])
    (entry,) = facts["entries"]
    assert (entry["at"], entry["outcome"], entry["by"]) == ("2026-11-18T11:06:40Z", "updated", None)
    assert entry["changes"][0] == {
        "key": "note", "before": None, "after": "long " * 60, "before_known": True, "undone_by": None,
    }  # fmt: skip


async def test_an_id_of_which_nothing_is_known_ends_with_1(changed, relabel, ledger):
    """And says what could not be searched."""
    nothing = await relabel("history", "chatcmpl-other")
    await ledger.redis.delete(JobKeys(changed.job_id).row_index)
    unknown = await relabel("history", "chatcmpl-other", "--json")
    warned = await relabel("history", ID)

    assert [ended.code for ended in (nothing, unknown, warned)] == [1, 1, 1]
    assert (nothing.out, warned.out) == ("", "")
    assert json.loads(unknown.out)["not_searched"] == [changed.job_id]
    assert "not searched" not in nothing.err
    assert changed.job_id in warned.err
