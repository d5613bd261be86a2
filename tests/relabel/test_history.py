"""What the kept jobs did to a completion is found among all of them: who, when, from what to what, and the undo."""

from __future__ import annotations

import pytest

from config.settings import Settings
from ledger.job_spec import Columns, Kind, Mode
from ledger.keys import JOBS, JobKeys
from ledger.row import Outcome, Patch
from ledger.row_index import ENTRY_BYTES, HASH_BYTES, id_hash
from producer.check import check_made
from producer.submit import JobRequest, submit
from producer.undo import undo_columns, undo_rows
from relabel.history import history, history_facts
from relabel.session import Session

OTHER = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqY"


class Operator:
    """Somebody who submits jobs, lets a worker end them, and asks what became of a completion."""

    def __init__(self, harness, folder):
        self.harness = harness
        self.folder = folder
        self.session = Session(harness.ledger, Settings(_env_file=None), "ada@a")

    async def change(self, *patches, by="ada@a", run=True, **order):
        """Submit patches as a job, and let a worker run it; return its id."""

        async def rows():
            for line, (completion_id, patch) in enumerate(patches, 2):
                yield Patch(line, completion_id, patch)

        return await self.submit(rows(), Columns("csv", "id", ["id", "team"]), by, run=run, **order)

    async def undo(self, job_id, by="bob@b", **limits):
        """Take a job back; return the id of the undo."""
        spec = (await self.harness.ledger.jobs.get(job_id)).spec
        rows = undo_rows(self.harness.ledger, spec, **limits)
        return await self.submit(rows, undo_columns(spec.columns), by, kind=Kind.UNDO, parent=job_id)

    async def submit(self, rows, columns, by, *, run=True, **order):
        wanted = JobRequest("file.csv", Mode.MERGE, True, self.harness.sandbox.base_url, 500, 600.0, again=True, by=by)
        wanted = wanted._replace(**order)
        with await check_made(rows, columns=columns, mode=wanted.mode, spool_dir=self.folder) as checked:
            job = await submit(checked, wanted, ledger=self.harness.ledger, announce=lambda *_: None)
        if run:
            await self.harness.turn(job.job_id)
        return job.job_id

    async def changes(self, completion_id):
        """What the history says: job, who, outcome, and the keys with what undid them."""
        facts = history_facts(await history(self.session, completion_id))
        return [
            (
                entry["job_id"],
                entry["by"],
                entry["outcome"],
                {
                    change["key"]: (change["before"], change["after"], change["undone_by"])
                    for change in entry["changes"]
                },
            )
            for entry in facts["entries"]
        ]


@pytest.fixture
def operator(harness, tmp_path):
    """Somebody at a ledger and a sandbox that stores one completion, with `team` `blue`."""
    return Operator(harness, tmp_path)


async def test_each_change_is_shown_with_its_undo_in_the_order_of_time(operator, completion_id):
    """Other completions of the same jobs are left out; an undo of some keys is told key by key."""
    first = await operator.change((OTHER, {"team": "x"}), (completion_id, {"team": "green", "draft": "yes"}))
    undo = await operator.undo(first, keys=frozenset({"draft"}))
    second = await operator.change((completion_id, {"team": None}), by="eve@e")

    assert await operator.changes(completion_id) == [
        (first, "ada@a", "updated", {"draft": (None, "yes", undo), "team": ("blue", "green", None)}),
        (undo, "bob@b", "updated", {"draft": ("yes", None, None)}),
        (second, "eve@e", "updated", {"team": ("green", None, None)}),
    ]
    found = await history(operator.session, completion_id)
    now = await operator.harness.ledger.jobs.now()
    assert [now - 60 < (entry.row.at or 0) <= now for entry in found.entries] == [True] * 3
    assert (found.searched, found.not_searched) == (3, [])


async def test_rows_that_changed_nothing_are_shown_as_what_they_are(operator, completion_id):
    """A row that was as asked, one that does not exist, one whose job has not begun."""
    same = await operator.change((completion_id, {"team": "blue"}))
    missing = await operator.change((OTHER, {"team": "x"}))
    waiting = await operator.change((completion_id, {"team": "red"}), run=False)

    assert await operator.changes(completion_id) == [
        (same, "ada@a", "unchanged", {}),
        (waiting, "ada@a", "pending", {}),
    ]
    assert await operator.changes(OTHER) == [(missing, "ada@a", "failed", {})]
    assert await operator.changes("chatcmpl-never") == []


async def test_what_a_job_without_undo_found_is_unknown(operator, completion_id):
    """What it wrote is known."""
    job_id = await operator.change((completion_id, {"team": "green"}), journal=False, mode=Mode.REPLACE)

    facts = history_facts(await history(operator.session, completion_id))
    assert facts["entries"][0]["job_id"] == job_id
    assert facts["entries"][0]["changes"] == [
        {"key": "team", "before": None, "after": "green", "before_known": False, "undone_by": None}
    ]


async def test_a_row_that_may_have_been_written_says_so(operator, completion_id):
    """Its worker died after the before-image, and somebody cancelled the job."""
    job_id = await operator.change((completion_id, {"team": "green"}), run=False)
    await operator.harness.journal(job_id, 0, {"team": "blue"})
    await operator.harness.ledger.jobs.cancel(job_id, by="ada@a")
    assert await operator.harness.ledger.shards.close_all(
        (await operator.harness.ledger.jobs.get(job_id)).spec, Outcome.CANCELLED
    )

    entry = history_facts(await history(operator.session, completion_id))["entries"][0]
    assert (entry["outcome"], entry["may_have_been_written"]) == ("cancelled", True)
    assert [(change["key"], change["before"], change["after"]) for change in entry["changes"]] == [
        ("team", "blue", "green")
    ]


async def test_a_hit_counts_only_where_the_stored_patch_is_the_completions(operator, completion_id):
    """Two ids may share a hash."""
    job_id = await operator.change((OTHER, {"team": "x"}), run=False)
    index = await operator.harness.redis.get(JobKeys(job_id).row_index)
    await operator.harness.redis.set(JobKeys(job_id).row_index, id_hash(completion_id) + index[HASH_BYTES:ENTRY_BYTES])

    assert await operator.harness.ledger.row_indexes.search(completion_id) == {job_id: [0]}
    assert await operator.changes(completion_id) == []


async def test_jobs_that_cannot_be_searched_are_named_and_expired_ones_are_not(operator, completion_id):
    """One that was stored without an index, and one whose rows are gone and in no report; not one that expired."""
    without = await operator.change((completion_id, {"team": "green"}), indexed=False)
    torn = await operator.change((completion_id, {"team": "red"}))
    await operator.harness.redis.delete(JobKeys(torn).shards)
    await operator.harness.redis.zadd(JOBS, {"expired": 1.0})

    found = await history(operator.session, completion_id)

    assert (found.entries, found.not_searched, found.lost) == ([], [without], [torn])
