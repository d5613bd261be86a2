"""`relabel run`: the server stands as the file asks, every row is accounted for, and nothing is left running."""

from __future__ import annotations

import asyncio
import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from report.archive import archived_jobs
from tests.end_to_end.cli_process import ROOT, CliProcess
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.expectation import (
    Expected,
    Metadata,
    as_csv,
    as_jsonl_gz,
    expect,
    new_ids,
    read_csv,
    read_jsonl_gz,
    simple_csv,
    varied_rows,
)
from tests.end_to_end.independent_server import IndependentServer

EXAMPLE = ROOT / "examples" / "relabel.csv"
PINNED = {"job_id", "state", "reason", "name", "rows", "rate_per_minute", "eta_s", "submitted_at", "finished_at"}
PINNED_ROWS = ["total", "updated", "unchanged", "failed", "rejected", "drifted", "cancelled", "would_change"]
PINNED_ROWS += ["pending", "folded"]
MISHAPS = (
    {"GET": ["500"]},
    {"GET": ["reset"]},
    {"POST": ["500"]},
    {"POST": ["500 after"]},
    {"POST": ["reset"]},
    {"POST": ["reset after"]},
    {"GET": ["503"], "POST": ["500", "reset after"]},
)


async def test_a_rehearsal_of_the_example_ends_well_and_leaves_nothing_running(relabel: CliProcess) -> None:
    """Exit code 0, the summary for people, the pinned JSON shape for programs, and no process."""
    ended = await relabel("run", "--sandbox", str(EXAMPLE), "--json")

    assert ended.code == 0
    assert "updated 100" in ended.err
    assert "finished in" in ended.err
    facts = ended.facts
    assert facts.keys() >= PINNED
    assert list(facts["rows"]) == PINNED_ROWS
    assert facts["rows"] == dict.fromkeys(PINNED_ROWS, 0) | {"total": 100, "updated": 100}
    assert (facts["state"], facts["reason"], facts["name"]) == ("finished", None, "relabel.csv")
    await relabel.nothing_runs()


@pytest.mark.promise
async def test_the_official_client_reads_back_what_a_run_wrote(relabel: CliProcess) -> None:
    """Each completion holds the cells of its row, one by one and in a list by metadata."""
    sandbox = await relabel.start("sandbox", "--accept-any-id")
    await sandbox.says("listening on ")
    base_url = sandbox.out.split()[-1]
    with EXAMPLE.open(newline="") as file:
        asked = {
            row.pop("completion_id"): {key: value for key, value in row.items() if value}
            for row in csv.DictReader(file)
        }

    ended = await relabel("run", str(EXAMPLE), OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-any")

    from openai import AsyncOpenAI  # loading it takes a second

    async with AsyncOpenAI(base_url=base_url, api_key="sk-any") as client:
        stored = client.chat.completions
        read = {completion_id: (await stored.retrieve(completion_id)).metadata for completion_id in asked}
        support = [found.id async for found in stored.list(metadata={"team": "support"}, limit=7)]
    sandbox.send(2)
    assert (await sandbox.ended()).code == ended.code == 0
    assert read == asked
    assert sorted(support) == sorted(key for key, metadata in asked.items() if metadata["team"] == "support")


@pytest.mark.parametrize(
    ("name", "mode", "options", "retry_after"),
    [
        pytest.param("patches.csv", "merge", [], "1", marks=pytest.mark.promise),
        ("patches.jsonl.gz", "merge", [], None),
        pytest.param("patches.jsonl.gz", "replace", [], "1", marks=pytest.mark.promise),
        pytest.param("patches.csv", "replace", ["--no-undo"], None, marks=pytest.mark.promise),
    ],
)
async def test_the_server_ends_as_the_file_asks_whatever_happens_on_the_way(
    relabel: CliProcess, serve: StartServer, name: str, mode: str, options: list[str], retry_after: str | None
) -> None:
    """Limits, latency, missing completions, errors and resets before and after the change: no row lost or wrong."""
    ids = new_ids(220, seed=len(name))
    raw = as_csv(varied_rows(ids, seed=1, removals=False))
    rows = read_csv(raw)
    if name.endswith("gz"):
        raw = as_jsonl_gz(varied_rows(ids, seed=1, removals=True))
        rows = read_jsonl_gz(raw)
    server = await serve(
        completions_before(ids, dict(rows)), per_second=300, burst=50, retry_after=retry_after, latency_s=0.02
    )
    server.refused = set(ids[10:14])
    befall(server, ids[40::9])
    expected = expect(rows, server.completions, mode=mode, refused=server.refused, reads="--no-undo" not in options)

    settings = {"RELABEL_RATE__PER_MINUTE": "24000", "RELABEL_WORKER__CHILDREN": "2", "RELABEL_JOB__SHARD_ROWS": "40"}
    ended = await relabel("run", relabel.file(name, raw), "--mode", mode, *options, "--json", **settings)

    assert ended.code == 1, ended.err
    assert "Traceback" not in relabel.worker_log
    assert server.completions == expected.held
    check_counts(ended.facts, expected)
    await check_report(relabel, ended.facts["job_id"], expected)


def completions_before(ids: list[str], last: dict[str, Any]) -> dict[str, Metadata]:
    """Completions for all but a few of the ids; a tenth holds already what is asked for it last."""
    held: dict[str, Metadata] = {}
    for number, completion_id in enumerate(ids[6:], start=6):
        held[completion_id] = {"team": "none", "draft": "yes", "origin": f"import {number}"}
        if number % 10 == 9:
            held[completion_id] = {key: value for key, value in last[completion_id].items() if value is not None}
    return held


def befall(server: IndependentServer, ids: list[str]) -> None:
    """Let something happen to the requests for these ids."""
    for number, completion_id in enumerate(ids):
        for method, mishaps in MISHAPS[number % len(MISHAPS)].items():
            server.mishaps[method, completion_id] = list(mishaps)


def check_counts(facts: dict[str, Any], expected: Expected) -> None:
    """The job's counts are what was expected, and their sum is the total."""
    rows = facts["rows"]
    for outcome in ("updated", "unchanged", "failed"):
        assert rows[outcome] == expected.count(outcome), outcome
    assert rows["folded"] == expected.folded
    assert rows["pending"] == 0
    assert sum(rows[word] for word in PINNED_ROWS[1:-1]) == rows["total"] == len(expected.outcomes)


async def check_report(relabel: CliProcess, job_id: str, expected: Expected) -> None:
    """Every row is in the report once, with what happened to it."""
    ended = await relabel("report", job_id, "--format", "jsonl")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    sent = [line for line in lines if line["relabel"]["outcome"] != "folded"]
    told = {line.get("completion_id") or line["id"]: line["relabel"] for line in sent}
    assert (len(told), len(lines) - len(sent)) == (len(sent), expected.folded)
    assert {completion_id: standing["outcome"] for completion_id, standing in told.items()} == expected.outcomes
    codes = Counter(standing["code"] for standing in told.values() if standing["outcome"] == "failed")
    missing = len(expected.outcomes.keys() - expected.held.keys())
    assert codes == {"not_found": missing, "invalid_value": expected.count("failed") - missing}


@pytest.mark.promise
async def test_the_failed_rows_of_a_report_are_fed_back_as_they_are_and_succeed(
    relabel: CliProcess, serve: StartServer
) -> None:
    """Formula-like and quoted cells survive the way through the report, once what failed is mended."""
    ids = new_ids(8)
    rows = [(completion_id, {"team": "=1+1", "note": 'a "b",\nc'}) for completion_id in ids]
    server = await serve({completion_id: {"kept": "yes"} for completion_id in ids[3:]})
    server.refused = {ids[4]}
    first = await relabel("run", relabel.file("rows.csv", as_csv(rows)), "--json")
    assert (first.code, first.facts["rows"]["failed"]) == (1, 4)

    await relabel("report", first.facts["job_id"], "--only", "failed", "-o", "failed.csv")
    server.refused = set()
    server.completions |= {completion_id: {"kept": "yes"} for completion_id in ids[:3]}
    second = await relabel("run", "failed.csv", "--json")

    assert (second.code, second.facts["rows"]["updated"]) == (0, 4)
    assert server.completions == {completion_id: {"kept": "yes"} | patch for completion_id, patch in rows}


@pytest.mark.promise
async def test_a_file_that_was_submitted_before_is_applied_again_only_when_asked(
    relabel: CliProcess, serve: StartServer
) -> None:
    """The same content names the job that there is; `--again` makes a new one, whose rows are then unchanged."""
    ids = new_ids(5)
    server = await serve({completion_id: {} for completion_id in ids})
    first = await relabel("run", relabel.file("rows.csv", simple_csv(ids)), "--json")
    asked = server.asked()

    same = await relabel("run", relabel.file("copy.csv", simple_csv(ids)), "--json")

    job_id = first.facts["job_id"]
    assert (same.code, same.facts["job_id"], server.asked()) == (0, job_id, asked)
    assert f"submitted before, with the same options, as job {job_id}" in same.err

    again = await relabel("run", "rows.csv", "--again", "--json")

    assert again.code == 0
    assert again.facts["job_id"] != job_id
    assert again.facts["rows"]["unchanged"] == 5


@pytest.mark.promise
async def test_invalid_rows_are_told_and_the_others_go_on(relabel: CliProcess, serve: StartServer) -> None:
    """Exit code 1, the line and the reason on the screen and in the report, and the good rows applied."""
    ids = new_ids(3)
    server = await serve({completion_id: {} for completion_id in ids})
    content = simple_csv(ids) + f"{ids[0]},{'x' * 513}\n,green\n"

    ended = await relabel("run", relabel.file("rows.csv", content), "--json")

    assert ended.code == 1
    assert "line 5, column team: value of 'team' has 513 characters; the API allows 512" in ended.err
    assert (ended.facts["rows"]["updated"], ended.facts["rows"]["rejected"]) == (3, 2)
    assert all(metadata == {"team": "blue"} for metadata in server.completions.values())
    report = await relabel("report", ended.facts["job_id"], "--only", "rejected", "--format", "jsonl")
    assert [json.loads(line)["relabel"]["line"] for line in report.out.splitlines()] == [5, 6]


async def test_a_file_without_a_row_to_send_ends_at_once(relabel: CliProcess, serve: StartServer) -> None:
    """The job is there for the report, finished, and no worker was needed."""
    server = await serve()

    ended = await relabel(
        "run", relabel.file("rows.csv", "completion_id,team\nchatcmpl-a,\n,blue\n"), "--json", "--yes"
    )

    assert (ended.code, server.asked()) == (1, 0)
    rows = ended.facts["rows"]
    assert (ended.facts["state"], rows["unchanged"], rows["rejected"], rows["total"]) == ("finished", 1, 1, 2)
    assert "Traceback" not in ended.err


async def test_rows_may_come_by_standard_input(relabel: CliProcess, serve: StartServer, tmp_path: Path) -> None:
    """`-` reads what is piped in; its worker archives the report before it ends, where a folder is named."""
    ids = new_ids(2)
    server = await serve({completion_id: {} for completion_id in ids})
    relabel.environment |= {"RELABEL_ARCHIVE__DIR": str(tmp_path), "RELABEL_ARCHIVE__KEEP_DAYS": "30"}

    running = await relabel.start("run", "-", stdin=simple_csv(ids).encode())

    assert (await running.ended()).code == 0
    assert all(metadata == {"team": "blue"} for metadata in server.completions.values())
    assert len(archived_jobs(tmp_path)) == 1


@pytest.mark.promise
async def test_two_runs_at_once_share_the_server_and_both_end_well(relabel: CliProcess, serve: StartServer) -> None:
    """Neither ends the other's Redis, and each gives its own job's exit code."""
    ids = new_ids(60)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.05)
    files = [relabel.file("a.csv", simple_csv(ids[:30])), relabel.file("b.csv", simple_csv(ids[30:]))]

    ended = await asyncio.gather(*(relabel("run", file, "--json") for file in files))

    assert [one.code for one in ended] == [0, 0], [one.out + one.err for one in ended]
    assert [one.facts["rows"]["updated"] for one in ended] == [30, 30]
    assert all(metadata == {"team": "blue"} for metadata in server.completions.values())


@pytest.mark.promise
async def test_azure_is_called_with_its_header_and_version(relabel: CliProcess, serve: StartServer) -> None:
    """Every request carries `api-key` and `api-version`, and none an Authorization header."""
    ids = new_ids(2)
    server = await serve({completion_id: {} for completion_id in ids})
    settings = {"RELABEL_API__AUTH": "api-key", "RELABEL_API__VERSION": "2025-02-01-preview"}

    ended = await relabel("run", relabel.file("rows.csv", simple_csv(ids)), **settings)

    assert (ended.code, server.asked("POST")) == (0, 2)
    for seen in server.log:
        assert seen.headers["api-key"] == server.key
        assert "Authorization" not in seen.headers
        assert "api-version=2025-02-01-preview" in seen.url


@pytest.mark.promise
async def test_a_temporary_folder_of_a_killed_check_holds_no_rows(relabel: CliProcess, serve: StartServer) -> None:
    """What is read waits in files without a name, and no folder stays behind."""
    ids = new_ids(50)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.2)
    spool = relabel.folder / "tmp"
    spool.mkdir()
    running = await relabel.start("run", relabel.file("rows.csv", simple_csv(ids)), TMPDIR=str(spool))
    await running.job_id()

    running.send(9)
    await running.ended()
    await relabel.nothing_runs()

    assert list(spool.iterdir()) == []
    assert server.asked() <= 100


@pytest.mark.promise
async def test_the_log_of_its_worker_takes_the_form_that_is_asked_for(relabel: CliProcess, serve: StartServer) -> None:
    """`--log-format json` for the command means the workers that it brings along."""
    ids = new_ids(3)
    await serve({completion_id: {} for completion_id in ids})

    ended = await relabel("--log-format", "json", "run", relabel.file("rows.csv", simple_csv(ids)), "--json")

    assert ended.code == 0
    lines = [json.loads(line) for line in relabel.worker_log.splitlines()]
    finished = [line for line in lines if line["event"] == "job finished"]
    assert [(line["job"], line["updated"]) for line in finished] == [(ended.facts["job_id"], 3)]
