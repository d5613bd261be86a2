"""`relabel verify` and `relabel receipt`: a job is read again and compared, and others can check what it says."""

from __future__ import annotations

import csv
import io
import json
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.cli.deployed import Deploy, DeployedCommand
from tests.harness.command import ROOT
from tests.harness.idle_worker import forget_writes, redis_url  # noqa: F401 - a fixture
from tests.harness.rows import dated_id

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgq{letter}" for letter in "ABCDE"]
BEFORE = {IDS[0]: {"team": "blue", "old": "=1+1"}, IDS[1]: {"team": "red"}, IDS[2]: {}, IDS[3]: {"team": "green"}}
ROWS = "".join(json.dumps({"id": each, "metadata": {"team": "green", "old": None}}) + "\n" for each in IDS[:4])


@pytest.fixture
async def harness(deploy: Deploy) -> AsyncIterator[DeployedCommand]:
    """The command, and an API that stores four completions."""
    async with deploy(BEFORE, IDS, rows=ROWS) as command:
        yield command


async def test_a_job_whose_rows_all_hold_is_verified(harness: DeployedCommand) -> None:
    """Exit code 0; the job says so, and the verification is one of its children."""
    job_id = await harness.run()

    facts = await harness.facts("verify", job_id)

    found = facts["verification"]
    assert (facts["kind"], facts["parent"], facts["state"]) == ("verify", job_id, "finished")
    assert (found["holds"], found["holding"], found["differing"], found["differences"]) == (True, 4, 0, {})
    seen = await harness.facts("status", job_id)
    assert seen["verification"] == found
    assert (seen["children"][-1]["job_id"], seen["children"][-1]["kind"]) == (facts["job_id"], "verify")
    assert "4 of 4 rows hold; by job" in (await harness("status", job_id)).out


async def test_rows_that_differ_are_counted_by_cause_and_listed_with_what_they_hold(
    harness: DeployedCommand, ledger: Ledger
) -> None:
    """Exit code 1. The last verification that finished is the one that counts."""
    job_id = await harness.run()
    await harness.facts("verify", job_id)
    later = await harness.run(rows=json.dumps({"id": IDS[0], "metadata": {"team": "white"}}) + "\n")
    harness.sandbox.store.load({IDS[1]: {"team": "theirs", "old": "=1+1"}})
    harness.sandbox.store.delete(IDS[2])
    await forget_writes(ledger, harness.sandbox, IDS)

    ended = await harness("verify", job_id)

    verify_id = ended.out.strip()
    assert ended.code == 1
    assert f"job {later} changed team since" in ended.err
    found = (await harness.facts("status", job_id))["verification"]
    assert (found["job_id"], found["holds"], found["holding"], found["differing"]) == (verify_id, False, 1, 3)
    assert found["differences"] == {"changed_by_job": 1, "changed_elsewhere": 1, "gone": 1}
    jsonl = await harness("report", verify_id, "--only", "drifted", "--format", "jsonl")
    assert [json.loads(line)["relabel"]["holds"] for line in jsonl.out.splitlines()] == [
        {"team": "white", "old": None},
        {"team": "theirs", "old": "=1+1"},
        None,
    ]
    as_csv = await harness("report", verify_id, "--only", "drifted", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(as_csv.out, newline="")))
    assert [json.loads(row["relabel.holds"]) if row["relabel.holds"] else None for row in rows][1] == {
        "team": "theirs",
        "old": "=1+1",
    }
    diff = await harness("report", verify_id, "--diff", "--format", "jsonl")
    assert [(json.loads(line)["before"], json.loads(line)["after"]) for line in diff.out.splitlines()] == [
        ({"team": "white"}, {"team": "green"}),
        ({"old": "=1+1", "team": "theirs"}, {"old": None, "team": "green"}),
    ]


async def test_a_verification_is_never_taken_for_an_earlier_one(harness: DeployedCommand) -> None:
    job_id = await harness.run()
    reads = len(harness.sandbox.log.entries)

    first, second = [(await harness.facts("verify", job_id))["job_id"] for _ in range(2)]

    assert first != second
    assert len(harness.sandbox.log.entries) >= reads + 8


async def test_undos_are_verified_as_any_job(harness: DeployedCommand) -> None:
    """In this process tree as well: `--run`."""
    job_id = await harness.run()
    undo_id = (await harness.facts("undo", job_id, "--run"))["job_id"]

    verified = await harness.facts("verify", undo_id, "--run")

    assert verified["verification"]["holding"] == 3
    again = await harness.facts("verify", job_id, code=1)
    assert again["verification"]["differences"] == {"changed_by_job": 3}


async def test_what_cannot_be_verified_is_refused_with_the_next_step(
    harness: DeployedCommand, ledger: Ledger, make_job: Callable[..., Awaitable[Any]]
) -> None:
    """Running, held, a verification, no rows, another API: exit code 2, and nothing is made."""
    running = (await make_job("completion_id,team\na-1,x\n")).job_id
    paused = await harness.run()
    verify_id = (await harness.facts("verify", paused))["job_id"]
    (harness.folder / "empty.jsonl").write_text(json.dumps({"id": IDS[0], "metadata": {}}) + "\n")
    empty = (await harness("submit", "empty.jsonl", "--yes")).out.strip()
    (harness.folder / "held.csv").write_text("completion_id,team\na-2,x\n")
    held = (await harness("submit", "held.csv", "--hold", "--yes")).out.strip()
    jobs = await ledger.jobs.listed()

    for job_id, step in (
        (running, f"`relabel watch {running}` follows it to its end"),
        (held, f"`relabel resume {held}` starts it"),
        (verify_id, f"`relabel verify {paused}` reads the job again"),
        (empty, "no rows that were sent"),
    ):
        ended = await harness("verify", job_id)
        assert (ended.code, step in ended.err) == (2, True), ended.err
    assert await ledger.jobs.listed() == jobs


RECEIPT_FIELDS = {"schema", "relabel", "made_at", "job", "rows", "digests", "plan", "verification"}


async def test_a_receipt_says_what_was_done_and_holds_no_value(harness: DeployedCommand) -> None:
    job_id = await harness.run()
    verification = (await harness.facts("verify", job_id))["verification"]

    ended = await harness("receipt", job_id, "-o", "receipt.json")

    written = harness.folder / "receipt.json"
    receipt = json.loads(written.read_text())
    assert (ended.code, ended.out, receipt.keys()) == (0, "", RECEIPT_FIELDS)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert json.loads((await harness("receipt", "last")).out) | {"made_at": ""} == receipt | {"made_at": ""}
    job = receipt["job"]
    assert (job["job_id"], job["state"], job["kind"], job["mode"]) == (job_id, "finished", "file", "merge")
    assert job["target"] == harness.sandbox.base_url
    assert receipt["rows"] | {"updated": 3, "unchanged": 1, "total": 4} == receipt["rows"]
    assert receipt["verification"] == verification
    refused = await harness("receipt", verification["job_id"])
    assert (refused.code, f"`relabel receipt {job_id}`" in refused.err) == (2, True)
    assert not [text for text in (*IDS, "blue", "green", "=1+1") if text in written.read_text()]


async def test_an_apply_is_verified_and_its_receipt_names_the_plan(harness: DeployedCommand) -> None:
    """By the digest that the plan has, which is also that of the outcomes in the plan's own receipt."""
    plan = await harness.facts("plan", harness.file(ROWS))
    harness.sandbox.store.load({IDS[1]: {"team": "theirs"}})
    applied = (await harness.facts("apply", plan["job_id"], "--yes", code=1))["job_id"]

    found = (await harness.facts("verify", applied, code=1))["verification"]
    receipt = json.loads((await harness("receipt", applied)).out)
    of_plan = json.loads((await harness("receipt", plan["job_id"])).out)

    assert (found["holding"], found["differences"]) == (2, {"not_applied": 1})
    assert receipt["plan"] == {"job_id": plan["job_id"], "digest": plan["digest"]}
    assert (of_plan["digests"]["outcomes"], of_plan["plan"]) == (plan["digest"], None)
    report = await harness("report", applied, "--only", "drifted", "--format", "jsonl")
    assert json.loads(report.out)["relabel"]["holds"] == {"team": "theirs"}


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_the_digests_of_a_receipt_are_recomputed_from_the_report(harness: DeployedCommand, mode: str) -> None:
    """By the script of the docs, which knows nothing of ours; a report in which one value is changed is found out."""
    odd = {"id": IDS[4], "metadata": {"\U0001f600": '\ufb33 \x7f "q" \\', "\ufb33": "é\u2028", "team": "green"}}
    folded, unchanged, rejected = ROWS.splitlines()[0], json.dumps({"id": "x-1", "metadata": {}}), '{"id": ""}'
    rows = ROWS + "\n".join([json.dumps(odd), folded, rejected, *([unchanged] if mode == "merge" else [])]) + "\n"
    harness.sandbox.store.load({IDS[4]: {"team": "odd \x1b[2J"}})
    settings = {"RELABEL_JOB__SHARD_ROWS": "2"}
    (harness.folder / "rows.jsonl").write_text(rows)
    submitted = await harness("submit", "rows.jsonl", "--wait", "--again", "--yes", "--mode", mode, **settings)
    job_id = submitted.out.strip()

    for verb in (("receipt", job_id, "-o", "receipt.json"), ("report", job_id, "--format", "jsonl", "-o", "r.jsonl")):
        assert (await harness(*verb)).code == 0

    assert check_receipt(harness.folder) == (0, ["input: as in the receipt", "outcomes: as in the receipt"])
    report = harness.folder / "r.jsonl"
    report.write_text(report.read_text().replace('"team":"blue"', '"team":"blau"'))
    code, said = check_receipt(harness.folder)
    assert (code, said[0], "DIFFERS" in said[1]) == (1, "input: as in the receipt", True)


async def test_digests_hold_in_any_order_of_the_rows(harness: DeployedCommand, ledger: Ledger) -> None:
    """Of a plan that goes oldest first, and of its apply, of which a canary goes before the others."""
    harness.settings["RELABEL_JOB__SHARD_ROWS"] = "10"
    ids = [dated_id(1_764_000_000.0 - 977 * (row % 7) * row, row) for row in range(45)]
    harness.sandbox.store.load({each: {"team": "blue"} for each in ids})
    rows = "".join(json.dumps({"id": each, "metadata": {"team": f"team {each[-2:]}"}}) + "\n" for each in ids)
    plan = await harness.facts("plan", harness.file(rows), "--oldest-first")
    applied = (await harness.facts("apply", plan["job_id"], "--yes", "--canary", "50%"))["job_id"]
    assert (await ledger.jobs.get(applied)).spec.canary == 23

    for job_id in (plan["job_id"], applied):
        await harness("receipt", job_id, "-o", "receipt.json")
        await harness("report", job_id, "--format", "jsonl", "-o", "r.jsonl")
        assert check_receipt(harness.folder) == (0, ["input: as in the receipt", "outcomes: as in the receipt"])
    lines = [json.loads(line)["relabel"]["line"] for line in (harness.folder / "r.jsonl").read_text().splitlines()]
    assert lines != sorted(lines), "the order is another one than that of the file"
    assert (await harness.facts("verify", applied))["verification"]["holding"] == 45


def check_receipt(folder: Path) -> tuple[int, list[str]]:
    """Run the script of the docs on a receipt and a report; return its exit code and its lines."""
    script = ROOT / "examples" / "receipt" / "check_receipt.py"
    command = [sys.executable, "-I", str(script), "receipt.json", "r.jsonl"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert not ended.stderr
    return ended.returncode, ended.stdout.splitlines()
