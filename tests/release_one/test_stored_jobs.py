"""Jobs that release one stored are read, reported, undone, tried again, resumed and rescued."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from config.environment import child_environment
from ledger.job import JobState
from ledger.job_spec import Mode
from tests.harness.cluster import Cluster, settings_for
from tests.harness.command import ROOT, run_command
from tests.harness.rows import PatchRows
from tests.release_one.stored_ledger import stored_ledger

STORED = stored_ledger()
ROWS = {
    "undone": PatchRows(15, seed=4),
    "no_undo": PatchRows(10, seed=3, mode=Mode.REPLACE),
    "paused": PatchRows(60, seed=6),
    "held": PatchRows(10, seed=7),
    "running": PatchRows(60, seed=9),
    "finished": PatchRows(40, seed=1),
}
"""What the jobs were asked to do."""


@asynccontextmanager
async def restored(folder: Path) -> AsyncIterator[Cluster]:
    """A private Redis with release one's ledger in it, and an API that holds what it held then."""
    (folder / "logs").mkdir()
    async with Cluster(folder, keep_logs=folder / "logs") as cluster:
        await STORED.restore(cluster.ledger.redis, target=cluster.sandbox.base_url)
        cluster.sandbox.store.load(STORED.completions)
        yield cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Release one's ledger for one test, without workers."""
    async with restored(tmp_path) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at_work(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Release one's ledger with a worker; each test has to do with other rows."""
    async with restored(tmp_path_factory.mktemp("at_work")) as cluster:
        await cluster.worker()
        yield cluster


WITH_WORKER = pytest.mark.asyncio(loop_scope="module")


async def relabel(cluster: Cluster, *arguments: str) -> tuple[int, str]:
    """Run a verb as a command; return its exit code and standard output."""
    environment = child_environment(settings_for(cluster.redis.url, cluster.sandbox.base_url))
    ran = await run_command(*arguments, environment=environment, folder=ROOT)
    return ran.code, ran.out


async def report(cluster: Cluster, job_id: str) -> list[dict[str, Any]]:
    """Return the lines of the job's report as JSONL."""
    _, written = await relabel(cluster, "report", job_id, "--format", "jsonl")
    return [json.loads(line) for line in written.splitlines()]


async def test_each_job_is_read_as_release_one_read_it(cluster: Cluster):
    for fate, facts in STORED.facts.items():
        job = await cluster.ledger.jobs.get(STORED.jobs[fate])
        counts = {name: getattr(job.counts, name) for name in facts["rows"]}

        assert (str(job.state), job.reason_code, counts) == (facts["state"], facts["reason_code"], facts["rows"])
        assert (job.spec.kind, job.spec.parent, job.spec.mode) == (facts["kind"], facts["parent"], facts["mode"])


async def test_each_row_is_in_the_report(cluster: Cluster):
    for fate in ("finished", "cancelled", "undo"):
        outcomes = Counter(line["relabel"]["outcome"] for line in await report(cluster, STORED.jobs[fate]))
        expected = {word: number for word, number in STORED.facts[fate]["rows"].items() if word != "folded" and number}
        expected.pop("total")

        assert outcomes == expected


@WITH_WORKER
async def test_a_finished_job_is_undone(at_work: Cluster):
    code, job_id = await relabel(at_work, "undo", STORED.jobs["finished"], "--again")
    await at_work.finished(job_id.strip())

    held = at_work.sandbox.store.dump()
    rows = ROWS["finished"]
    assert code == 0
    assert {row: held[row] for row in rows.ids} == rows.before


async def test_a_finished_job_is_verified_and_has_a_receipt(cluster: Cluster):
    """Without an index of its rows, and without the time at which each of them ended."""
    job_id = STORED.jobs["undone"]

    code, printed = await relabel(cluster, "verify", job_id, "--run", "--json")
    _, receipt = await relabel(cluster, "receipt", job_id)

    found = json.loads(printed)["verification"]
    assert found["holding"] + found["differing"] == found["rows"] == 15
    assert (code, found["unread"]) == (0 if found["holds"] else 1, 0)
    assert json.loads(receipt)["verification"] == found


@WITH_WORKER
async def test_a_cancelled_job_is_undone_by_its_before_images(at_work: Cluster):
    rows = PatchRows(60, seed=5)

    _, job_id = await relabel(at_work, "undo", STORED.jobs["cancelled"])
    await at_work.finished(job_id.strip())

    held = at_work.sandbox.store.dump()
    assert {row: held[row] for row in rows.ids} == rows.before


@WITH_WORKER
async def test_failed_rows_are_tried_again(at_work: Cluster):
    unknown = "chatcmpl-" + "0" * 29
    at_work.sandbox.store.load({unknown: {"team": "none"}})

    _, job_id = await relabel(at_work, "retry", STORED.jobs["finished"], "--all", "--again")
    await at_work.finished(job_id.strip())

    assert at_work.sandbox.store.dump()[unknown]["team"] == "x"


@WITH_WORKER
@pytest.mark.parametrize("fate", ["paused", "held", "running"])
async def test_a_job_that_had_not_ended_goes_on_to_its_end(at_work: Cluster, fate: str):
    rows, job_id = ROWS[fate], STORED.jobs[fate]
    if fate != "running":
        await relabel(at_work, "resume", job_id)

    job = await at_work.finished(job_id)

    held = at_work.sandbox.store.dump()
    assert {row: held[row] for row in rows.ids} == {row: rows.after(row) for row in rows.ids}
    assert job.counts.updated + job.counts.unchanged == len(rows)
    assert job.state is JobState.FINISHED


async def test_a_job_without_before_images_cannot_be_undone(cluster: Cluster):
    code, _ = await relabel(cluster, "undo", STORED.jobs["no_undo"])

    assert code == 2


async def test_the_night_is_shown_with_its_files(cluster: Cluster):
    _, shown = await relabel(cluster, "nightly", "status", "--json")

    night = json.loads(shown)["last"]
    assert {file["name"]: file["state"] for file in night["entries"]} == {
        "broken.csv": "rejected",
        "good.jsonl": "done",
    }
