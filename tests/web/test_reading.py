"""What can be read: jobs, rows, reports, logs, histories, nights and the rate, as the command line shows them."""

from __future__ import annotations

import asyncio
import csv
import io
import json

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from ledger.connect import NoConnectionFree
from ledger.job_spec import Kind
from ledger.keys import JOBS, JobKeys
from ledger.row import Outcome
from nightly.store import Nights
from relabel.job_status import JobStatus
from relabel.receipt_result import ReceiptResult
from relabel.results import result_of
from tests.cli.conftest import failure
from tests.harness.rows import PatchRows
from web.problems import add_handlers

IDS = PatchRows(12).ids
FILE = "id,team\n" + "".join(f"{each},t{number}\n" for number, each in enumerate(IDS)) + "bad id,x\n" + f"{IDS[0]},t0\n"
"""Twelve rows, one that is rejected, and one that is folded into the first."""


@pytest.fixture
async def job(make_job):
    """A job whose rows ended in several ways; those from the sixth on are open."""
    ends = {0: Outcome.UPDATED, 1: failure("not_found", "No such completion", status=404), 2: Outcome.UNCHANGED}
    ends |= {3: Outcome.DRIFTED, 4: Outcome.UPDATED, 5: Outcome.UPDATED}
    return await make_job(FILE, ends, images=True)


async def test_a_receipt_is_that_of_the_command(client, relabel, make_job):
    """But for when it was made; what the command refuses is refused with its code."""
    done = (await make_job(FILE, dict.fromkeys(range(12), Outcome.UPDATED), images=True)).job_id
    still_open = (await make_job(FILE.replace("t0", "n0"), {})).job_id
    printed = json.loads((await relabel("receipt", done)).out)

    answer = await client.get(f"/v1/jobs/{done}/receipt")
    refused = await client.get(f"/v1/jobs/{still_open}/receipt")
    unknown = await client.get("/v1/jobs/none/receipt")

    assert answer.status_code == 200, answer.text
    assert answer.json() | {"made_at": ""} == {"object": "receipt"} | printed | {"made_at": ""}
    assert result_of(answer.json(), ReceiptResult).digests.input == printed["digests"]["input"]
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert refused.json()["state"] == "running"
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_such_job")


async def test_a_receipt_that_there_cannot_be_is_refused_with_the_reason(client, make_job, ledger):
    """422 for a verification, whose job has the receipt; 410 where rows of the job are lost, or it has expired."""
    done = (await make_job(FILE, dict.fromkeys(range(12), Outcome.UPDATED), images=True)).job_id
    verifies = (await make_job(FILE, {}, kind=Kind.VERIFY, parent=done)).job_id

    async def refused(job_id):
        answer = await client.get(f"/v1/jobs/{job_id}/receipt")
        return answer.status_code, answer.json()["code"], answer.json()["detail"]

    status, code, detail = await refused(verifies)
    assert (status, code, done in detail) == (422, "invalid_input", True)
    for key in (JobKeys(done).shards, JobKeys(done).counts):
        await ledger.redis.delete(key)
        assert (await refused(done))[:2] == (410, "state_lost")
    await ledger.redis.zadd(JOBS, {"gone": 1})
    assert (await refused("20200101-000000-00000000"))[:2] == (410, "job_expired")


async def read_all(client, path, **params):
    """Read a list page by page."""
    found, after = [], ""
    while True:
        answer = await client.get(path, params={**params, "after": after})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["object"] == "list"
        assert (page["first_id"] is None) == (not page["data"])
        found += page["data"]
        if not page["has_more"]:
            return found
        after = page["last_id"]


def lasting(job):
    """What is said of a job without what depends on when it is asked: its pace, and whether it stands still."""
    assert {"rows_per_s", "eta_s", "no_row_ended_since"} <= job.keys()
    return {name: said for name, said in job.items() if name not in {"rows_per_s", "eta_s", "no_row_ended_since"}}


async def test_a_job_is_what_status_prints(client, job, relabel):
    """The same JSON, made by the same function; the typed result knows each of its members."""
    printed = json.loads((await relabel("status", job.job_id, "--json")).out)

    answer = await client.get(f"/v1/jobs/{job.job_id}")

    assert lasting(answer.json()) == {"object": "job"} | lasting(printed)
    result = result_of(answer.json(), JobStatus)
    assert set(answer.json()) <= set(msgspec.to_builtins(result))
    assert result.rows.total == 13
    assert result.rows.failed == 1


async def test_jobs_are_listed_newest_first_page_by_page(client, make_job, relabel):
    """As `relabel jobs --json` has them; a job that is submitted meanwhile moves none."""
    made = [(await make_job(FILE)).job_id for _ in range(5)]
    first = (await client.get("/v1/jobs", params={"limit": 2})).json()
    await make_job(FILE)
    rest = await read_all(client, "/v1/jobs", limit=2)
    second = (await client.get("/v1/jobs", params={"limit": 10, "after": first["last_id"]})).json()

    assert [job["job_id"] for job in first["data"]] == made[:2:-1]
    assert (first["first_id"], first["has_more"]) == (made[-1], True)
    assert [job["job_id"] for job in second["data"]] == made[2::-1]
    assert len(rest) == 6
    printed = json.loads((await relabel("jobs", "--json")).out)
    assert [{"object": "job"} | lasting(job) for job in printed] == [lasting(job) for job in rest]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [({"state": "paused"}, 1), ({"state": ["paused", "running"]}, 4), ({"name": "PATCHES"}, 4), ({"key": "team"}, 4),
     ({"key": "other"}, 0), ({"by": "nobody"}, 0), ({"since": "1h"}, 4), ({"since": "2000-01-01"}, 4)],
)  # fmt: skip
async def test_jobs_are_found_by_what_is_known_of_them(client, make_job, ledger, wanted, number):
    """By the same words as on the command line; a page looks at a bounded number of jobs, and says that more follow."""
    made = [await make_job(FILE) for _ in range(4)]
    await ledger.jobs.pause(made[1].job_id, by="ada@x", code="paused", reason="lunch")

    assert len(await read_all(client, "/v1/jobs", limit=3, **wanted)) == number


async def test_the_list_goes_on_behind_a_job_that_is_gone(client, make_job, ledger):
    """Which a long look may meet: rather a job twice than none."""
    made = [(await make_job(FILE)).job_id for _ in range(3)]
    await ledger.jobs.discard(made[1])

    page = (await client.get("/v1/jobs", params={"after": made[1]})).json()

    assert made[0] in [job["job_id"] for job in page["data"]]
    assert (await client.get("/v1/jobs", params={"after": "nonsense"})).status_code == 422


async def test_rows_are_read_page_by_page(client, job):
    """Each once: those of the ledger, the rejected one, the folded one."""
    rows = await read_all(client, f"/v1/jobs/{job.job_id}/rows", limit=4)

    assert [row["outcome"] for row in rows] == [
        "updated", "failed", "unchanged", "drifted", "updated", "updated", *["pending"] * 6, "rejected", "folded",
    ]  # fmt: skip
    assert [row["completion_id"] for row in rows] == [*IDS, None, IDS[0]]
    assert [row["line"] for row in rows] == [*range(2, 14), 14, 15]
    assert len({row["id"] for row in rows}) == len(rows)
    assert rows[0]["changes"] == [{"key": "team", "before": None, "after": "t0", "before_known": True}]
    assert rows[0]["before"] == {}
    assert (rows[1]["code"], rows[1]["status"]) == ("not_found", 404)
    assert rows[12]["input"] == "bad id,x"


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [("failed", [3]), ("failed,rejected", [3, 14]), ("unchanged", [4]), ("folded", [15]), ("pending", [*range(8, 14)]),
     ("cancelled", [])],
)  # fmt: skip
async def test_rows_are_found_by_their_outcome(client, job, outcome, lines):
    """Whatever the size of a page."""
    for limit in (1, 3, 1000):
        rows = await read_all(client, f"/v1/jobs/{job.job_id}/rows", outcome=outcome, limit=limit)
        assert [row["line"] for row in rows] == lines


async def test_rows_are_found_by_their_codes(client, job):
    """Those that failed with one of some; none with a code that nothing ended with."""
    rows = await read_all(client, f"/v1/jobs/{job.job_id}/rows", codes="not_found,timeout")
    assert [row["code"] for row in rows] == ["not_found"]
    assert await read_all(client, f"/v1/jobs/{job.job_id}/rows", codes="timeout", outcome="failed") == []
    rejected = await read_all(client, f"/v1/jobs/{job.job_id}/rows", codes="invalid_row")
    assert [row["outcome"] for row in rejected] == ["rejected"]


async def test_a_report_is_what_the_command_writes(client, job, relabel):
    """In each layout."""
    for name, options in (("csv", []), ("jsonl", ["--format", "jsonl"])):
        written = (await relabel("report", job.job_id, *options, "--only", "failed,rejected")).out
        params = {"format": name, "outcome": "failed,rejected"}
        answer = await client.get(f"/v1/jobs/{job.job_id}/report", params=params)
        assert answer.text.replace("\r\n", "\n") == written.replace("\r\n", "\n")
        assert f'filename="report.{name}"' in answer.headers["content-disposition"]
    assert answer.headers["content-type"] == "application/x-ndjson"

    diff = await client.get(f"/v1/jobs/{job.job_id}/report", params={"diff": "true"})
    assert {row["after"] for row in csv.DictReader(io.StringIO(diff.text))} >= {"t0", "t4"}
    wrong = await client.get(f"/v1/jobs/{job.job_id}/report", params={"bom": "true", "format": "jsonl"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_input")


async def test_the_pace_is_what_the_command_writes(client, make_job, relabel):
    """In each layout; with what is about rows it is refused."""
    job = await make_job(f"id,team\n{IDS[0]},red\n", {0: Outcome.UPDATED})
    for layout in ("csv", "jsonl"):
        written = (await relabel("report", job.job_id, "--pace", "--format", layout)).out
        answer = await client.get(f"/v1/jobs/{job.job_id}/report", params={"pace": "true", "format": layout})
        assert answer.text.replace("\r\n", "\n") == written.replace("\r\n", "\n")
        assert "throttled" in written

    for more in ({"outcome": "failed"}, {"diff": "true"}):
        wrong = await client.get(f"/v1/jobs/{job.job_id}/report", params={"pace": "true", **more})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_input")


async def test_a_log_is_what_the_command_prints(client, job, ledger, relabel):
    """Page by page, oldest first."""
    for reason in ("one", "two", "three"):
        await ledger.jobs.pause(job.job_id, by="ada@x", code="paused", reason=reason)
        await ledger.jobs.resume(job.job_id, by="ada@x")
    printed = json.loads((await relabel("log", job.job_id, "--json")).out)

    entries = await read_all(client, f"/v1/jobs/{job.job_id}/log", limit=2)

    assert [{name: entry[name] for name in ("at", "who", "verb", "why")} for entry in entries] == printed
    assert len({entry["id"] for entry in entries}) == len(entries) > 5


async def test_a_history_is_what_the_command_prints(client, job, relabel):
    """Of a completion that is known, and of one that is not."""
    for completion_id in (IDS[0], "chatcmpl-unknown"):
        printed = json.loads((await relabel("history", completion_id, "--json")).out)
        answer = await client.get(f"/v1/completions/{completion_id}/history")
        assert answer.json() == {"object": "history"} | printed


async def test_the_rate_is_what_the_command_prints(client, relabel):
    """By the name that the server is told."""
    printed = json.loads((await relabel("rate", "--json", RELABEL_RATE__NAME="tests")).out)

    assert (await client.get("/v1/rate")).json() == {"object": "rate"} | printed


async def test_nights_are_listed_newest_first(client, ledger):
    """Page by page, each with its files."""
    nights = Nights(ledger.redis)
    dates = [f"2026-11-{day}" for day in (24, 25, 26)]
    for date in dates:
        await nights.put((await nights.begin(date, asked_by="beat", overlap="queue")).night)

    runs = await read_all(client, "/v1/nightly/runs", limit=2)

    assert [run["date"] for run in runs] == dates[::-1]
    assert {"state", "started_at", "entries"} <= set(runs[0])


async def test_a_job_that_is_unknown_expired_or_lost_is_told_apart(client, job, ledger):
    """404, 410 with the way to its archive, and the job as it is known with 410 for its rows."""
    unknown = await client.get("/v1/jobs/20991231-000000-00000000")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_such_job")

    for job_id in ("20200101-000000-00000000", "gone"):
        await ledger.redis.zadd(JOBS, {"gone": 1})
        gone = await client.get(f"/v1/jobs/{job_id}")
        assert (gone.status_code, gone.json()["code"]) == (410, "job_expired")
        assert "RELABEL_ARCHIVE__DIR" in gone.json()["detail"]

    await ledger.redis.delete(JobKeys(job.job_id).shards)
    for path in ("rows", "report"):
        lost = await client.get(f"/v1/jobs/{job.job_id}/{path}")
        assert (lost.status_code, lost.json()["code"]) == (410, "state_lost")
    await ledger.redis.delete(JobKeys(job.job_id).counts)
    assert (await client.get(f"/v1/jobs/{job.job_id}")).json()["state"] == "state lost"
    for path in ("rows", "report"):
        lost = await client.get(f"/v1/jobs/{job.job_id}/{path}")
        assert (lost.status_code, lost.json()["code"]) == (410, "state_lost")


@pytest.mark.parametrize(
    ("path", "params"),
    [("jobs", {"limit": 0}), ("jobs", {"limit": 101}), ("jobs", {"limit": "x"}), ("jobs", {"state": "odd"}),
     ("jobs", {"since": "yesterday"}), ("jobs/JOB/rows", {"limit": 1001}), ("jobs/JOB/rows", {"outcome": "odd"}),
     ("jobs/JOB/rows", {"after": "r-1"}), ("jobs/JOB/rows", {"after": "r9999999999999999"}),
     ("jobs/JOB/report", {"format": "xlsx"}), ("jobs/JOB/report", {"diff": "perhaps"})],
)  # fmt: skip
async def test_a_wrong_parameter_is_a_problem_that_names_it(client, job, path, params):
    """422, and never the value: it may be a row."""
    answer = await client.get(f"/v1/{path}".replace("JOB", job.job_id), params=params)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"invalid_request", "invalid_input"}


async def test_a_place_behind_the_last_row_is_an_empty_page(client, job):
    """As is one of a job that has none."""
    for after in ("r11", "r500", "x7", "u99"):
        rows = (await client.get(f"/v1/jobs/{job.job_id}/rows", params={"after": after, "outcome": "updated"})).json()
        assert rows == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_many_callers_at_once_are_all_answered(client, job):
    """More than there are connections to Redis: they wait for one."""
    answers = await asyncio.gather(*(client.get(f"/v1/jobs/{job.job_id}") for _ in range(150)))

    assert {answer.status_code for answer in answers} == {200}


async def test_a_server_that_is_asked_too_much_does_not_blame_redis():
    """It is busy, which passes; nobody is sent to look at Redis."""
    app = FastAPI()
    add_handlers(app)

    @app.get("/")
    async def ask() -> None:
        raise NoConnectionFree

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
