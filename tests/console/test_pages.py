"""What the pages of the console show, without any script, and what they show where there is nothing."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
import pytest
from pydantic import SecretStr

from config.schedule import Schedule
from config.settings import Settings
from ledger.keys import WORKER_STARTS, WORKERS
from ledger.row import Outcome
from ledger.workers import WorkerFacts
from nightly.state import FileState, NightState
from nightly.store import Nights
from ratelimit.limits import LIMIT_PREFIX, Limit, Limits, SharedLimit
from ratelimit.shared_rate import endpoint_of, record_use
from tests.cli.conftest import failure
from tests.console.conftest import LONGEST_S, night_file, words_of
from tests.harness.free_port import free_port
from tests.harness.rows import PatchRows
from tests.hostile_text import HOSTILE, left_in
from tests.web.conftest import in_process, settings_of
from web.callers import SESSION_COOKIE

MARKUP = "<img src=x onerror=alert(1)>'\"</code></td><script>alert(2)</script>"
IDS = PatchRows(12).ids
FILE = "id,team,note\n" + "".join(f"{each},t{number},{'n' * 512}\n" for number, each in enumerate(IDS)) + "bad id,x,y\n"
ENDS = {0: Outcome.UPDATED, 1: failure("not_found", "No such completion", status=404), 2: Outcome.UNCHANGED}
ENDS |= {3: Outcome.DRIFTED, 4: Outcome.UPDATED, 5: failure("server_error", "Down", status=500)}

look = asyncio.to_thread


@pytest.mark.promise
async def test_an_operator_finds_a_job_and_what_went_wrong_in_it(browser, sign_in, make_job):
    """The list, and the job with its causes, advice, rows with before and after, and timeline."""
    await sign_in("read")
    job = await make_job(FILE, ENDS, images=True, name="quality-labels.csv")
    await make_job(FILE, name="other.csv", hold=True)

    jobs = await look(browser.open, "/jobs", until="quality-labels.csv")
    assert await look(browser.faults, "jobs") == []
    await look(browser.click, "quality-labels.csv")
    shown = await look(browser.until, "Timeline")
    assert await look(browser.faults, "job") == []

    assert "other.csv" in jobs
    assert "no worker is alive" in jobs
    assert "held" in jobs
    for words in (job.job_id, "not_found", "The API knows no such completion", "bad id", "submit", "updated", "absent"):
        assert words in shown, words
    assert await look(browser.errors) == []


async def test_home_names_what_needs_somebody(person, make_job, ledger):
    """A paused job with its reason, since when, what to do and the one button; what goes on by itself stands below."""
    job = await make_job(FILE, ENDS, name="stopped.csv", images=True)
    await make_job(FILE, name="other.csv")
    await ledger.jobs.pause(job.job_id, by="worker@a", code="invalid_api_key", reason="the API refuses the key")
    async with await person("control", "submit") as client:
        page = await client.get("/")
    async with await person("read") as client:
        reader = await client.get("/")

    shown = words_of(page)
    for words in ("The API refuses the key", "orrect OPENAI_API_KEY", "Since ", "no worker is alive", "Resume"):
        assert words in shown, words
    assert shown.index("stopped.csv") < shown.index("Under way") < shown.index("other.csv")
    assert len(re.findall(r'class="button[^>]*/actions/', page.text)) == 1
    assert "<button disabled>Resume</button>" in reader.text
    assert "your token has not the scope control" in words_of(reader)


async def home_that_says(client, words):
    """Return what Home says once it says this: what its checks found stands for a second."""
    async with asyncio.timeout(LONGEST_S):
        while True:
            shown = words_of(await client.get("/"))
            if words in shown:
                return shown
            await asyncio.sleep(0.1)


async def test_home_says_since_when_no_worker_is_alive_and_a_night_needs_somebody(person, ledger):
    """As of a job that waits."""
    await ledger.redis.zadd(WORKERS, {"celery@a|2": 1_763_900_000})
    nights = Nights(ledger.redis)
    night, _ = await nights.begin("2026-11-27", asked_by="ada", overlap="skip")
    ended = msgspec.structs.replace(night, state=NightState.NEEDS_ATTENTION, ended_at=1_763_900_060)
    await nights.put(ended, [night_file("a.csv", FileState.REJECTED, reason="no header")])
    async with await person("read") as client:
        shown = await home_that_says(client, "Since 2025")

    assert "No worker is alive Since 2025-11-23 12:13:20 UTC" in shown
    assert "The run of 2026-11-27 needs attention Since 2025-11-23 12:14:20 UTC" in shown


async def test_home_says_since_when_a_worker_crashes_and_the_rate_is_slowed_down(person, ledger):
    """The first start of those that follow each other, and the first request at a lower rate."""
    now = await ledger.jobs.now()
    await ledger.workers.beat("celery@a", 2)
    await ledger.redis.zadd(WORKER_STARTS, {f"celery@a|{number}": now - 800 + 100 * number for number in range(8)})
    shared, limits = SharedLimit(f"{LIMIT_PREFIX}since", Limit(10.0, 1)), Limits(ledger.redis)
    await record_use(ledger.redis, shared, endpoint="https://api.example/v1")
    await limits.acquire(1, shared)
    await limits.pause(shared.key, None)
    await limits.acquire(1, shared)
    slowed_at = float(await ledger.redis.hget(shared.key, "slowed_at"))
    async with await person("read") as client:
        shown = await home_that_says(client, "api.example: the rate is slowed down")  # the pause is over
        workers = words_of(await client.get("/workers"))

    crashes = "Celery@a was started 8 times within 15 minutes"
    assert re.search(f"{crashes} Since {utc_words(now - 800)}", shown, re.IGNORECASE)
    assert re.search(
        rf"api\.example: the rate is slowed down .* Since {utc_words(slowed_at)} Next: relabel rate", shown
    )
    assert f"Since {utc_words(now - 800)}" in workers


def utc_words(at):
    """A moment as pages show it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


async def test_home_says_since_when_the_broker_does_not_answer(redis_url, ledger, new_token):
    """As far as this server saw, which whoever watches over it asks time and again."""
    broker = SecretStr(f"redis://127.0.0.1:{free_port()}/0")
    settings = settings_of(redis_url).model_copy(update={"broker_url": broker})
    session = await ledger.browser_sessions.begin(await new_token("read"))
    async with in_process(settings) as client:
        client.cookies.set(SESSION_COOKIE, session)
        before = int(time.time())
        assert (await client.get("/readyz")).status_code == 503
        after = time.time()
        shown = words_of(await client.get("/"))

    assert "broker Celery's broker cannot be reached" in shown
    assert any(f"Since {utc_words(at)}" in shown for at in range(before, int(after) + 1))


async def test_home_says_that_all_is_well(person, ledger):
    """Where a worker lives and nothing waits for anybody."""
    await ledger.workers.beat("celery@a", 2)
    await ledger.accepted_keys.note(endpoint_of(Settings(_env_file=None)), "celery@a")
    async with await person("read") as client:
        shown = await home_that_says(client, "All is well")

    assert "All is well" in shown
    assert "relabel submit" in shown
    assert "Needs somebody" not in shown


async def test_lists_without_anything_say_how_to_fill_them(person):
    """One sentence, with the command or the button; a filter that finds nothing has another."""
    said = {
        "/": "relabel submit patches.csv",
        "/jobs": "There is no job yet. Submit a file , or run relabel submit patches.csv",
        "/jobs?state=paused": "No job matches. Show all jobs",
        "/completions": "Enter the id of a completion, or follow one from the rows of a job",
        "/completions?id=chatcmpl-none": "Nothing is known of chatcmpl-none",
        "/nightly": "relabel nightly run begins one",
        "/nightly/2020-01-01": "No run of this date is kept. All runs",
        "/workers": "No worker is alive. Start one with celery -A tasks.app worker",
    }
    async with await person("read") as client:
        for path, sentence in said.items():
            assert sentence in words_of(await client.get(path)), path


async def test_the_states_of_jobs_that_have_not_ended_are_counted(person, make_job, ledger):
    """So that who looks at the list sees at once what waits; those that have ended are not counted, however many."""
    for number in range(3):
        job_id = (await make_job(FILE)).job_id
        if number:
            await ledger.jobs.pause(job_id, by="ada", code="paused", reason="lunch")
    await ledger.jobs.retire((await make_job(f"id,team\n{IDS[0]},x\n", {0: Outcome.UPDATED})).job_id)
    async with await person("read") as client:
        shown = words_of(await client.get("/jobs"))

    assert "all submitting held running 1 paused 2 finished cancelled lost" in shown


async def test_a_completion_shows_what_changed_it(person, make_job):
    """Which job, by whom, from what to what."""
    job = await make_job(FILE, ENDS, images=True, name="quality-labels.csv", by="ada@x")
    async with await person("read") as client:
        shown = words_of(await client.get("/completions", params={"id": IDS[0]}))

    for words in (job.job_id, "quality-labels.csv", "updated", "team from absent to t0", "submitted by ada@x"):
        assert words in shown, words


async def test_nights_are_a_line_each_and_open_their_files(person, make_job, ledger):
    """Due, begun, ended, files by state; those to look at first, with their jobs, and by state."""
    job = await make_job(FILE, name="a.csv")
    nights = Nights(ledger.redis)
    at = await ledger.jobs.now()
    schedule = Schedule("0 0 * * *", "UTC")
    await nights.note_beat(schedule)
    night, _ = await nights.begin(schedule.until(at).date, asked_by="ada", overlap="skip")
    files = [night_file("a.csv", FileState.SUBMITTED, job_id=job.job_id), night_file("b.csv", FileState.DONE)]
    await nights.put(night, [*files, night_file("c.csv", FileState.REJECTED, reason="no header")])
    async with await person("read") as client:
        listed = words_of(await client.get("/nightly"))
        shown = words_of(await client.get(f"/nightly/{night.date}"))
        rejected = words_of(await client.get(f"/nightly/{night.date}?state=rejected"))
        done = [night_file(f"file-{number:03}.csv", FileState.DONE, job_id=job.job_id) for number in range(500)]
        ended = msgspec.structs.replace(night, state=NightState.FINISHED, ended_at=night.started_at + 60)
        await nights.put(ended, done)
        many = words_of(await client.get(f"/nightly/{night.date}"))

    assert f"{night.date} ▶ running {night.date} 00:00:00 UTC" in listed
    assert "not yet 1 done · 1 rejected · 1 submitted" in listed
    assert f"due {night.date} 00:00:00 UTC , began" in shown
    assert shown.index("c.csv") < shown.index("b.csv")
    assert job.job_id in shown
    assert "no header" in rejected
    assert "a.csv" not in rejected
    assert "all 503 submitted 1 done 501 rejected 1" in many
    assert many.index("c.csv") < many.index("file-000.csv") < many.index("file-499.csv")


async def test_workers_are_listed_with_what_differs_among_them(person, ledger):
    """Host, version, key, heartbeat; the rate that they share, and the checks as `relabel health` prints them."""
    for name, version in (("celery@a", "0.2.0"), ("celery@b", "0.1.9")):
        await ledger.workers.beat(name, 2, WorkerFacts(host=name[-1], version=version, key="key-12ab", start="1"))
    async with await person("read") as client:
        shown = words_of(await client.get("/workers"))
        health = (await client.get("/v1/health")).json()

    assert "They differ: the version is 0.2.0 (celery@a), 0.1.9 (celery@b)" in shown
    for words in ("key-12ab", " s ago", "in force", "asked for"):
        assert words in shown, words
    for check in health["checks"]:
        assert f"{check['check']} " in shown
        assert check["verdict"] in shown


async def test_a_receipt_has_the_digests_and_none_of_the_rows(person, make_job, ledger):
    """Of a job that has ended; another one is refused with why."""
    job = await make_job(
        FILE, {number: ENDS.get(number, Outcome.UPDATED) for number in range(12)}, images=True, by="ada@x"
    )
    running = await make_job(FILE)
    await ledger.audit.note(job.job_id, who="bob", verb="approve")
    async with await person("read") as client:
        page = await client.get(f"/jobs/{job.job_id}")
        shown = words_of(receipt := await client.get(f"/jobs/{job.job_id}/receipt"))
        early = await client.get(f"/jobs/{running.job_id}/receipt")

    assert f'href="/jobs/{job.job_id}/receipt"' in page.text
    for words in (job.job_id, "by ada@x", "by bob", "rows in all 13", "failed 2", "Nobody has verified this job"):
        assert words in shown, words
    assert len([word for word in shown.split() if len(word) == 64]) == 2
    assert IDS[0] not in receipt.text
    assert early.status_code == 409
    assert "is running" in early.text


@pytest.fixture
async def hostile_paths(make_job, ledger):
    """Store hostile text wherever somebody else's can come from, and return the paths of all pages that show it."""
    kept_by_no_ledger = {"bytes", "key"}  # the former is no text, the latter is cut out before it is kept
    evil = MARKUP + " ".join(text for name, text in HOSTILE.items() if name not in kept_by_no_ledger)
    rows = [{"id": IDS[0], "metadata": {"k": MARKUP[:500], "<b>key</b>": "v"}}, {"id": IDS[1], "metadata": {"k": "x"}}]
    content = "\n".join(map(json.dumps, rows))
    ends = {0: Outcome.UPDATED, 1: failure("not_found", evil, status=404)}
    ended = await make_job(content, ends, images=True, name=f"{MARKUP}.jsonl", by=MARKUP)
    job = await make_job(content, {0: ends[1]}, images=True, name=f"{MARKUP}.jsonl", by=MARKUP)
    await ledger.jobs.pause(job.job_id, by=evil, code="paused", reason=evil, why=evil)
    await ledger.workers.beat(f"celery@{MARKUP}", 2, WorkerFacts(host=evil, version=evil, key=evil, start="1"))
    nights, name = Nights(ledger.redis), evil.replace("\0", "")
    night, _ = await nights.begin("2026-11-27", asked_by=evil, overlap="skip")
    file = night_file(name, FileState.REJECTED, job_id=job.job_id, reason=evil, place=name)
    await nights.put(msgspec.structs.replace(night, reason=evil), [file])
    paths = ["/", "/jobs", f"/completions?id={IDS[0]}", f"/completions?id={quote(evil[:200])}", "/workers", "/nightly"]
    paths += ["/nightly/2026-11-27", f"/nightly/{quote(MARKUP[:10])}", f"/{quote(MARKUP)}"]
    paths += [f"/jobs?name={quote(evil[:200])}", f"/sign-in?next={quote(MARKUP)}"]
    paths += [f"/jobs/{ended.job_id}/{more}" for more in ("receipt", "actions/undo", "actions/retry?all=true")]
    paths += [f"/jobs/{job.job_id}/{more}" for more in ("actions/resume", "actions/cancel")]
    return [
        *paths,
        *(f"/jobs/{job.job_id}{more}" for more in ("", f"?find={quote(evil[:200])}", f"?codes={quote(MARKUP)}")),
    ]


def acting(source):
    """What of a page's source would act on its reader."""
    return [text for text in ("<img src", "<script>", "<b>key") if text in source.lower()]


async def test_what_others_wrote_acts_on_nobody(person, hostile_paths):
    """Markup, control characters and keys in names, values, reasons and messages are text, or are not there at all."""
    async with await person("control", "submit") as client:
        pages = {path: await client.get(path) for path in hostile_paths}

    for path, page in pages.items():
        assert acting(page.text) == [], path
        assert left_in(words_of(page)) == [], path
        assert page.status_code in {200, 404, 422}, path


@pytest.mark.promise
async def test_a_browser_runs_nothing_of_what_others_wrote(browser, sign_in, hostile_paths):
    """Nor has it to refuse anything."""
    await sign_in("read", "control", "submit")
    for path in hostile_paths:
        assert left_in(await look(browser.open, path, until="relabel")) == [], path
        assert acting(await look(browser.source)) == [], path
    assert [said for said in await look(browser.errors) if "404" not in said and "422" not in said] == []
