"""`relabel plan`: what it shows of what a file would change, with a deployed worker and an API that is really asked."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from tests.cli.deployed import Deploy, DeployedCommand
from tests.harness.command import ROOT
from tests.harness.idle_worker import redis_url  # noqa: F401 - a fixture

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgq{letter}" for letter in "ABCDE"]
FULL = {f"key{number}": "v" for number in range(16)}
BEFORE = {IDS[0]: {"team": "blue"}, IDS[1]: {"team": "=1+1", "old": "x"}, IDS[2]: {"team": "green"}, IDS[3]: FULL}
ROWS = "".join(json.dumps({"id": each, "metadata": {"team": "green", "old": None}}) + "\n" for each in IDS)


@pytest.fixture
async def planner(deploy: Deploy) -> AsyncIterator[DeployedCommand]:
    """The command, and an API that stores four completions."""
    async with deploy(BEFORE, IDS) as command:
        yield command


async def test_a_plan_shows_what_would_change_and_changes_nothing(planner: DeployedCommand) -> None:
    """Each row is read once; the failed ones say what a write would meet."""
    plan = await planner.facts("plan", planner.file(ROWS), code=1)

    assert planner.sandbox.store.dump() == BEFORE
    assert {entry.method for entry in planner.sandbox.log.entries} == {"GET"}
    assert (plan["kind"], plan["state"], plan["parent"]) == ("plan", "finished", None)
    counts = {word: rows for word, rows in plan["rows"].items() if rows}
    assert counts == {"total": 5, "would_change": 2, "unchanged": 1, "failed": 2}
    assert plan["changes"] == [
        {"key": "old", "before": "x", "after": None, "rows": 1},
        {"key": "team", "before": "=1+1", "after": "green", "rows": 1},
        {"key": "team", "before": "blue", "after": "green", "rows": 1},
    ]
    assert plan["changes_other"] == {}
    assert [sample["id"] for sample in plan["samples"]] == IDS[:2]
    failed = (await planner.facts("report", plan["job_id"], "--summary"))["findings"]["failed"]
    assert {cause["code"] for cause in failed} == {"too_many_pairs", "not_found"}


async def test_anybody_can_compute_the_digest_from_the_report_with_the_program_for_receipts(
    planner: DeployedCommand,
) -> None:
    """Also with rows that are in no shard: a rejected one, a folded one, and one that names nothing to change."""
    folded, empty = ROWS.splitlines()[0], json.dumps({"id": IDS[4][:-1] + "F", "metadata": {}})
    rows = "\n".join([ROWS + folded, '{"id": "no metadata"}', empty])
    plan = await planner.facts("plan", planner.file(rows), code=1)
    report = await planner("report", plan["job_id"], "--format", "jsonl")
    receipt = await planner("receipt", plan["job_id"])
    (planner.folder / "receipt.json").write_text(receipt.out)
    (planner.folder / "report.jsonl").write_text(report.out)

    script = [sys.executable, str(ROOT / "examples/receipt/check_receipt.py"), "receipt.json", "report.jsonl"]
    ran = subprocess.run(script, cwd=planner.folder, capture_output=True, text=True, check=True)  # noqa: ASYNC221

    assert ran.stdout.splitlines() == ["input: as in the receipt", "outcomes: as in the receipt"]
    assert json.loads(receipt.out)["digests"]["outcomes"] == plan["digest"]


async def test_a_report_has_the_values_before_and_after_and_guards_the_cells_of_csv(planner: DeployedCommand) -> None:
    job_id = (await planner.facts("plan", planner.file(ROWS), code=1))["job_id"]

    report = await planner("report", job_id, "--format", "jsonl")
    table = await planner("report", job_id, "--format", "csv")
    diff = await planner("report", job_id, "--diff", "--format", "csv")

    said = [json.loads(line)["relabel"] for line in report.out.splitlines()]
    assert [(row["before"], row["after"]) for row in said] == [
        ({"team": "blue"}, {"team": "green"}),
        ({"old": "x", "team": "=1+1"}, {"old": None, "team": "green"}),
        ({}, {}),
        (None, None),
        (None, None),
    ]
    (row,) = [row for row in csv.DictReader(io.StringIO(table.out)) if row["id"] == IDS[1]]
    assert json.loads(row["relabel.before"]) == {"old": "x", "team": "=1+1"}
    changed = list(csv.DictReader(io.StringIO(diff.out)))
    assert [(line["key"], line["before"], line["after"]) for line in changed if line["id"] == IDS[1]] == [
        ("old", "x", ""),
        ("team", "'=1+1", "green"),
    ]
    assert {line["outcome"] for line in changed} == {"would_change"}


async def test_the_same_file_is_planned_anew_each_time(planner: DeployedCommand) -> None:
    first = (await planner.facts("plan", planner.file(ROWS), code=1))["job_id"]
    planner.sandbox.store.load({IDS[0]: {"team": "green"}})

    second = await planner.facts("plan", "rows.jsonl", code=1)

    assert second["job_id"] != first
    assert (second["rows"]["would_change"], second["rows"]["unchanged"]) == (1, 2)


async def test_a_plan_has_no_undo_and_no_retry_and_is_no_change_in_a_history(planner: DeployedCommand) -> None:
    job_id = (await planner.facts("plan", planner.file(ROWS), code=1))["job_id"]

    undo, retry = await planner("undo", job_id), await planner("retry", job_id)
    history = json.loads((await planner("history", IDS[0], "--json")).out)

    assert (undo.code, retry.code) == (2, 2)
    assert "is a plan, which changes nothing" in undo.err
    assert f"`relabel plan --from {job_id} --only failed`" in retry.err
    assert job_id not in {entry["job_id"] for entry in history["entries"]} | set(history["not_searched"])


async def test_rows_that_drifted_are_planned_again_with_the_values_that_were_meant(planner: DeployedCommand) -> None:
    """Of an undo: somebody else changed a row since the job, so that it was left alone."""
    job_id = (await planner.facts("submit", planner.file(ROWS), "--wait", "--again", code=1))["job_id"]
    planner.sandbox.store.load({IDS[0]: {"team": "somebody else's"}})
    undo = (await planner.facts("undo", job_id))["job_id"]
    assert (await planner("watch", undo)).code == 1

    plan = await planner.facts("plan", "--from", undo)

    assert (plan["kind"], plan["parent"], plan["rows"]["total"]) == ("plan", undo, 1)
    assert plan["changes"] == [{"key": "team", "before": "somebody else's", "after": "blue", "rows": 1}]
    assert f"by job {plan['job_id']}" in (await planner("status", undo)).out
    none = await planner("plan", "--from", undo, "--only", "failed")
    assert (none.code, "no rows that ended as failed" in none.err) == (2, True)


async def test_the_summary_and_the_status_show_the_changes_the_digest_and_the_next_step(
    planner: DeployedCommand,
) -> None:
    """The id alone is on standard output."""
    ended = await planner("plan", planner.file(ROWS.splitlines()[0]))
    job_id = ended.out.strip()
    status = (await planner("status", job_id)).out

    assert ended.code == 0
    for said in (ended.err, status):
        assert "team: blue -> green  (1 row)" in said
        assert f"relabel apply {job_id}" in said
    digest = (await planner.facts("status", job_id))["digest"]
    assert (f"Digest: {digest}" in ended.err, digest in status) == (True, True)
