"""`relabel status` and `relabel jobs`: how jobs stand."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from ledger.job import JobState, Waits
from ledger.row import Outcome

CSV = "id,team\na,red\nb,blue\na,grey\nno id,x\n"


async def test_the_json_has_the_pinned_shape(relabel, make_job, fails, ledger):
    """Other programs rely on it."""
    job = await make_job(CSV, {0: Outcome.UPDATED})
    running = json.loads((await relabel("status", job.job_id, "--json")).out)
    await ledger.jobs.move(job.job_id, JobState.FINISHED, come_from=(JobState.RUNNING,))

    finished = json.loads((await relabel("status", job.job_id, "--json")).out)

    assert running["rows"] == {
        "total": 3, "updated": 1, "unchanged": 0, "failed": 0, "rejected": 1,
        "drifted": 0, "cancelled": 0, "pending": 1, "folded": 1,
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
    assert r"paused: Incorrect \x1b[5mkey [red]x" in ended.out
    assert f"Correct OPENAI_API_KEY, then go on with `relabel resume {job.job_id}`" in ended.out
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
        (0, Waits(), "waiting for a worker"),
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

    assert f"running, {words}" in ended.out


async def test_an_unknown_job_is_wrong_use(relabel):
    """One sentence, exit code 2, nothing on standard output."""
    for verb in ("status", "watch", "report"):
        ended = await relabel(verb, "nothing")
        assert ended == (2, "", "relabel: there is no job nothing; `relabel jobs` lists them.\n")


async def test_an_unreachable_redis_is_told_apart(relabel, tmp_path):
    """Exit code 4."""
    ended = await relabel("jobs", RELABEL_REDIS__URL=f"unix://{tmp_path}/none.sock")

    assert (ended.code, ended.out, "cannot be reached" in ended.err) == (4, "", True)


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
