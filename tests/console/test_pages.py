"""What the pages of the console show, at both widths and in both colours, and what they show where there is nothing."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest

from config.settings import Settings
from ledger.row import Outcome
from ledger.workers import WorkerFacts
from nightly.state import FileState, NightFile
from nightly.store import Nights
from ratelimit.shared_rate import endpoint_of
from tests.cli.conftest import failure
from tests.harness.rows import PatchRows
from tests.hostile_text import HOSTILE, left_in

MARKUP = "<img src=x onerror=alert(1)>'\"</code></td><script>alert(2)</script>"
IDS = PatchRows(12).ids
FILE = "id,team,note\n" + "".join(f"{each},t{number},{'n' * 512}\n" for number, each in enumerate(IDS)) + "bad id,x,y\n"
ENDS = {0: Outcome.UPDATED, 1: failure("not_found", "No such completion", status=404), 2: Outcome.UNCHANGED}
ENDS |= {3: Outcome.DRIFTED, 4: Outcome.UPDATED, 5: failure("server_error", "Down", status=500)}

look = asyncio.to_thread


def night_file(name, state, **more):
    """A file of a nightly run."""
    return NightFile(name=name, state=state, size=1, changed_ns=1, taken_at=1.0, **more)


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
    failed = await look(browser.open, f"/jobs/{job.job_id}?outcome=failed", until="No such completion")

    assert "other.csv" in jobs
    assert "no worker is alive" in jobs
    assert "held" in jobs
    for words in (job.job_id, "not_found", "The API knows no such completion", "bad id", "submit", "updated", "absent"):
        assert words in shown, words
    assert IDS[1] in failed
    assert "512 characters" in failed
    assert IDS[2] not in failed
    assert await look(browser.errors) == []


@pytest.mark.promise
async def test_a_list_without_jobs_says_how_to_fill_it(browser, sign_in):
    """One sentence and the command; a filter that finds nothing has another."""
    await sign_in("read")

    empty = await look(browser.open, "/jobs", until="There is no job yet")
    assert await look(browser.faults, "jobs-empty") == []
    filtered = await look(browser.open, "/jobs?state=paused", until="No job matches")

    assert "relabel submit patches.csv" in empty
    assert "Show all jobs" in filtered


@pytest.mark.promise
async def test_home_names_what_needs_somebody(browser, sign_in, make_job, ledger):
    """A paused job with its reason, since when and what to do; what goes on by itself stands below."""
    await sign_in("read")
    job = await make_job(FILE, name="stopped.csv")
    await make_job(FILE, name="other.csv")
    await ledger.jobs.pause(job.job_id, by="worker@a", code="invalid_api_key", reason="the API refuses the key")

    shown = await look(browser.open, "/", until="Needs somebody")
    assert await look(browser.faults, "home") == []

    for words in ("the API refuses the key", "orrect OPENAI_API_KEY", "Since ", "no worker is alive"):
        assert words in shown, words
    assert shown.index("stopped.csv") < shown.index("Under way") < shown.index("other.csv")


@pytest.mark.promise
async def test_home_says_that_all_is_well(browser, sign_in, ledger):
    """Where a worker lives and nothing waits for anybody."""
    await sign_in("read")
    await ledger.workers.beat("celery@a", 2)
    await ledger.accepted_keys.note(endpoint_of(Settings(_env_file=None)), "celery@a")

    shown = await look(browser.open, "/", until="Under way")

    assert "All is well" in shown
    assert "relabel submit" in shown


@pytest.mark.promise
async def test_a_completion_shows_what_changed_it(browser, sign_in, make_job):
    """Which job, by whom, from what to what; of one that no job knows, that nothing is known."""
    await sign_in("read")
    job = await make_job(FILE, ENDS, images=True, name="quality-labels.csv")

    asked = await look(browser.open, "/completions", until="Enter the id")
    await look(browser.open, f"/jobs/{job.job_id}?outcome=updated", until=IDS[0])
    await look(browser.click, IDS[0])
    shown = await look(browser.until, "oldest first")
    assert await look(browser.faults, "completion") == []
    unknown = await look(browser.open, "/completions?id=chatcmpl-none", until="Nothing is known")

    assert "follow one from the rows" in asked
    for words in (job.job_id, "quality-labels.csv", "updated", "team", "t0", "absent"):
        assert words in shown, words
    assert "none of the 1 job" in unknown


@pytest.mark.promise
async def test_nights_are_a_line_each_and_open_their_files(browser, sign_in, make_job, ledger):
    """Those to look at first, with their jobs; nights of which none was, too."""
    await sign_in("read")
    empty = await look(browser.open, "/nightly", until="no nightly run yet")
    job = await make_job(FILE, name="a.csv")
    nights = Nights(ledger.redis)
    night, _ = await nights.begin("2026-11-27", asked_by="ada", overlap="skip")
    files = [night_file("a.csv", FileState.SUBMITTED, job_id=job.job_id), night_file("b.csv", FileState.DONE)]
    await nights.put(night, [*files, night_file("c.csv", FileState.REJECTED, reason="no header")])

    listed = await look(browser.open, "/nightly", until="2026-11-27")
    assert await look(browser.faults, "nightly") == []
    await look(browser.click, "2026-11-27")
    shown = await look(browser.until, "no header")
    assert await look(browser.faults, "night") == []
    await nights.put(night, [night_file(f"file-{number:03}.csv", FileState.DONE) for number in range(500)])
    many = await look(browser.open, "/nightly/2026-11-27", until="file-499.csv")
    missing = await look(browser.open, "/nightly/2020-01-01", until="No run of this date")

    assert "relabel nightly run" in empty
    assert "1 rejected" in listed
    assert shown.index("c.csv") < shown.index("b.csv")
    assert many.index("c.csv") < many.index("file-000.csv")
    assert job.job_id in shown
    assert "All runs" in missing


@pytest.mark.promise
async def test_workers_are_listed_with_what_differs_among_them(browser, sign_in, ledger):
    """Host, version, key, heartbeat; the rate that they share, and the checks of `relabel health`."""
    await sign_in("read")
    empty = await look(browser.open, "/workers", until="No worker is alive")
    for name, version in (("celery@a", "0.2.0"), ("celery@b", "0.1.9")):
        await ledger.workers.beat(name, 2, WorkerFacts(host=name[-1], version=version, key="key-12ab", start="1"))

    shown = await look(browser.open, "/workers", until="celery@b")
    assert await look(browser.faults, "workers") == []

    assert "--run" in empty
    assert "They differ: the version is 0.2.0 (celery@a), 0.1.9 (celery@b)" in shown
    for words in ("key-12ab", "ago", "in force", "ledger", "clock"):
        assert words in shown, words


async def test_what_others_wrote_acts_on_nobody(browser, sign_in, make_job, ledger):
    """Markup, control characters and keys in names, values, reasons and messages are text, or are not there at all."""
    await sign_in("read")
    kept_by_no_ledger = {"bytes", "key"}  # the former is no text, the latter is cut out before it is kept
    evil = MARKUP + " ".join(text for name, text in HOSTILE.items() if name not in kept_by_no_ledger)
    rows = [{"id": IDS[0], "metadata": {"k": MARKUP[:500], "<b>key</b>": "v"}}, {"id": IDS[1], "metadata": {"k": "x"}}]
    content = "\n".join(map(json.dumps, rows))
    ends = {0: Outcome.UPDATED, 1: failure("not_found", evil, status=404)}
    job = await make_job(content, ends, images=True, name=f"{MARKUP}.jsonl", by=MARKUP)
    await ledger.jobs.pause(job.job_id, by=evil, code="paused", reason=evil, why=evil)

    for path in ("/", "/jobs", f"/jobs/{job.job_id}", f"/completions?id={IDS[0]}", f"/jobs?name={quote(evil[:200])}"):
        shown = await look(browser.open, path, until="relabel")
        source = await look(browser.source)
        assert left_in(shown) == [], path
        assert "<img src" not in source.lower()
        assert "<script>" not in source
        assert "<b>key" not in source
    assert await look(browser.errors) == []
