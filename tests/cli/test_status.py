"""`relabel status` and `relabel jobs`: how jobs stand."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from ledger.job import JobState
from ledger.keys import JobKeys
from ledger.progress import LastError, Waits
from ledger.row import Outcome

CSV = "id,team\na,red\nb,blue\na,grey\nno id,x\n"


def lines_of(out: str) -> dict[str, str]:
    """What `status` says, by the word that each line begins with."""
    return {line[:11].rstrip(): line[11:] for line in out.splitlines()}


async def test_the_json_has_the_pinned_shape(relabel, make_job, fails, ledger):
    """Other programs rely on it."""
    job = await make_job(CSV, {0: Outcome.UPDATED})
    running = json.loads((await relabel("status", job.job_id, "--json")).out)
    await ledger.jobs.move(job.job_id, JobState.FINISHED, come_from=(JobState.RUNNING,))

    finished = json.loads((await relabel("status", job.job_id, "--json")).out)

    assert running["rows"] == {
        "total": 3, "updated": 1, "unchanged": 0, "failed": 0, "rejected": 1,
        "drifted": 0, "cancelled": 0, "would_change": 0, "pending": 1, "folded": 1,
    }  # fmt: skip
    assert (running["job_id"], running["state"], running["name"]) == (job.job_id, "running", "patches.csv")
    assert (running["reason"], running["rate_per_minute"], running["finished_at"]) == (None, None, None)
    assert running["requests"] == {"sent": 2, "retries": 1, "throttled": 0}
    assert running["submitted_at"].endswith("Z")
    assert finished["finished_at"] > finished["submitted_at"]


@pytest.mark.parametrize(
    ("content", "ends", "code"),
    [
        ("id,k\na,1\n", {}, 0),
        ("id,k\na,1\n", {0: Outcome.UNCHANGED}, 0),
        ("id,k\na,1\nno id,1\n", {0: Outcome.UPDATED}, 1),
        ("id,k\na,1\n", {0: Outcome.DRIFTED}, 1),
    ],
)
async def test_the_exit_code_tells_how_an_ended_job_went(relabel, make_job, content, ends, code):
    """While it runs, 0."""
    job = await make_job(content, ends)

    assert (await relabel("status", job.job_id)).code == code


async def test_a_paused_job_says_why_and_how_to_go_on(relabel, make_job, ledger):
    """The server's words are shown without what a terminal would act on."""
    job = await make_job(CSV)
    await ledger.jobs.pause(job.job_id, by="test", code="invalid_api_key", reason="Incorrect \x1b[5mkey [red]x")

    ended = await relabel("status", job.job_id)

    assert ended.code == 3
    assert lines_of(ended.out)["State"] == "paused"
    assert lines_of(ended.out)["Reason"] == r"Incorrect \x1b[5mkey [red]x"
    step = f"Correct OPENAI_API_KEY, then go on with `relabel resume {job.job_id}`"
    assert lines_of(ended.out)["Next"].startswith(step)
    assert "\x1b" not in ended.out


async def test_a_job_that_redis_lost_says_to_submit_it_again(relabel, make_job, ledger):
    """In words and in JSON."""
    job = await make_job(CSV)
    await ledger.redis.delete(f"relabel:{{{job.job_id}}}:outcomes")

    told = await relabel("status", job.job_id)
    facts = json.loads((await relabel("status", job.job_id, "--json")).out)

    assert (told.code, "Submit the file again" in told.out) == (3, True)
    assert (facts["state"], facts["reason_code"]) == ("state lost", "state_lost")


@pytest.mark.parametrize(
    ("workers", "waits", "words"),
    [
        (0, Waits(), "waiting, as no worker is alive"),
        (1, Waits(for_rate=3, backing_off=1), "waiting for the rate of 90/min, backing off after errors (1 row)"),
        (1, Waits(paused_s=60, paused_by="rate_limited"), "paused by a 429 for "),
        (1, Waits(paused_s=60, paused_by="failing"), "the API is failing; all rows wait for "),
        (1, Waits(in_flight=7), "waiting for the API (7 requests under way)"),
        (
            1,
            Waits(blocked=2, blocked_by="20261127-172335-90e7"),
            "waiting for a request of job 20261127-172335-90e7 that may still be running (2 rows)",
        ),
        (1, Waits(blocked=1), "waiting for a request of another worker that may still be running (1 row)"),
    ],
)
async def test_a_running_job_says_what_it_is_waiting_for(relabel, make_job, at_work, workers, waits, words):
    """From the words of its workers."""
    job = await make_job(CSV)

    async with at_work(job, waits, workers=workers):
        ended = await relabel("status", job.job_id, RELABEL_RATE__PER_MINUTE="90")

    assert lines_of(ended.out)["State"] == "running"
    assert lines_of(ended.out)["Waits"].startswith(words)


async def test_a_job_of_which_no_row_ends_says_since_when_and_what_the_api_answered(relabel, make_job, at_work, ledger):
    """And no time that is left."""
    job = await make_job(CSV)
    began = await ledger.jobs.now() - 185
    pace = {"settled": 9, "before_at": began - 9, "before_rows": 0, "mark_at": began, "mark_rows": 9}
    await ledger.redis.hset(JobKeys(job.job_id).pace, mapping=pace)
    await ledger.redis.hset(JobKeys(job.job_id).job, "running_at", began)

    async with at_work(job, Waits(backing_off=1), error=LastError(500, "server_error", "The server had an error")):
        told = lines_of((await relabel("status", job.job_id)).out)
        facts = json.loads((await relabel("status", job.job_id, "--json")).out)

    since = datetime.fromtimestamp(began, tz=UTC)
    assert told["Waits"] == (
        f"backing off after errors (1 row); no row ended for 3 minutes (since {since:%H:%M:%S} UTC); "
        "last answer 500 'The server had an error'"
    )
    assert told["Done"] == "33%, 1 of 3 rows"
    assert (facts["eta_s"], facts["rows_per_s"] > 0) == (None, True)
    assert facts["no_row_ended_since"].startswith(f"{since:%Y-%m-%dT%H:%M:%S}")
    assert facts["last_error"] == {"status": 500, "code": "server_error", "message": "The server had an error"}


async def test_a_cancelled_job_says_what_was_done_by_whom_and_why(relabel, make_job):
    """Rows that were cancelled are not done."""
    job = await make_job(CSV, {0: Outcome.UPDATED})

    await relabel("cancel", job.job_id, "--reason", "wrong column")
    told = lines_of((await relabel("status", job.job_id)).out)
    facts = json.loads((await relabel("status", job.job_id, "--json")).out)

    assert told["State"] == "cancelled"
    assert re.fullmatch(r"wrong column \(.+@.+\)", told["Reason"])
    assert told["Done"] == "66%, 2 of 3 rows"
    assert told["Rows"] == "updated 1  rejected 1  cancelled 1"
    assert (facts["reason"], facts["reason_code"]) == (told["Reason"], "cancelled")


async def test_a_job_that_was_undone_names_the_undo_and_how_it_went(relabel, make_job, ledger, end_rows):
    """While it runs and afterwards, and each that was made."""
    job = await make_job(CSV, {0: Outcome.UPDATED, 1: Outcome.UPDATED}, images=True)
    await ledger.jobs.move(job.job_id, JobState.FINISHED, come_from=(JobState.RUNNING,))
    undo = (await relabel("undo", job.job_id, "--keys", "team", OPENAI_API_KEY="sk-x")).out.strip()

    running = lines_of((await relabel("status", job.job_id)).out)
    spec = (await ledger.jobs.get(undo)).spec
    await end_rows(spec, {0: Outcome.UPDATED, 1: Outcome.DRIFTED})
    told = lines_of((await relabel("status", job.job_id)).out)
    facts = json.loads((await relabel("status", job.job_id, "--json")).out)

    assert running["Undo"] == f"job {undo} (keys team): running, updated 0  pending 2"
    assert told["Undone"] == f"by job {undo} (keys team): updated 1  drifted 1"
    assert facts["children"] == [{"job_id": undo, "kind": "undo", "state": "finished"}]


async def test_an_unknown_job_is_wrong_use(relabel):
    """One sentence, exit code 2, nothing on standard output."""
    for verb in ("status", "watch", "report"):
        ended = await relabel(verb, "nothing")
        assert ended == (2, "", "relabel: there is no job nothing; `relabel jobs` lists them.\n")


async def test_an_unreachable_redis_is_told_apart(relabel, tmp_path):
    """Exit code 4."""
    ended = await relabel("jobs", RELABEL_REDIS__URL=f"unix://{tmp_path}/none.sock")

    assert (ended.code, ended.out, "cannot be reached" in ended.err) == (4, "", True)


@pytest.mark.whole
@pytest.mark.parametrize("verb", [["jobs"], ["status", "--json"], ["config"]], ids=lambda verb: verb[0])
async def test_a_disk_that_is_full_is_one_sentence(make_job, environment, verb):
    """What is printed may go to a file; exit code 2, and no traceback."""
    job = await make_job(CSV)
    command = [sys.executable, "-m", "cli.main", *verb, *([job.job_id] if verb[0] == "status" else [])]
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123 - a device
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=full, stderr=subprocess.PIPE)
    _, err = await process.communicate()

    assert process.returncode == 2
    assert err.decode().splitlines() == [
        "relabel: cannot write output (No space left on device); free some space, or write elsewhere."
    ]


async def test_jobs_are_listed_newest_first(relabel, make_job, ledger):
    """Each on a line of its own, with what a hostile name holds spelled out."""
    first = await make_job(CSV, {0: Outcome.UPDATED})
    second = await make_job(CSV, name="\x1b[2J[red]evil.csv")
    await ledger.jobs.pause(first.job_id, by="test", code="x", reason="no credit")

    table = await relabel("jobs")
    latest = json.loads((await relabel("jobs", "--json", "-n", "1")).out)

    lines = table.out.splitlines()
    assert lines[0].split() == ["JOB", "KIND", "NAME", "STATE", "ROWS", "FAILED", "REJECTED", "SUBMITTED", "REASON"]
    assert [line.split()[0] for line in lines[1:]] == [second.job_id, first.job_id]
    assert r"\x1b[2J[red]evil.csv" in lines[1]
    assert "2/3" in lines[2]
    assert lines[2].rstrip().endswith("no credit")
    assert [job["job_id"] for job in latest] == [second.job_id]


async def test_no_jobs_is_said_beside_the_json(relabel):
    """An empty array for programs, a hint for people."""
    assert json.loads((await relabel("jobs", "--json")).out) == []
    assert "no jobs yet" in (await relabel("jobs")).err
