"""Each page in each of its states: nothing keeps people from using it, at both widths and in both colours."""

from __future__ import annotations

import asyncio

import pytest
from selenium.webdriver.common.keys import Keys

from config.settings import Settings
from config.web import Scope
from ledger.job import Kind
from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.workers import WorkerFacts
from nightly.state import FileState
from nightly.store import Nights
from ratelimit.shared_rate import endpoint_of
from tests.cli.conftest import failure
from tests.console.conftest import night_file
from tests.harness.rows import PatchRows

pytestmark = pytest.mark.promise
IDS = PatchRows(8).ids
FILE = "id,team,note\n" + "".join(f"{each},t{number},{'n' * 512}\n" for number, each in enumerate(IDS)) + "bad id,x,y\n"
LONG = f"https://api.openai.com/v1/chat/completions/{IDS[4]}"
"""What has no place to break a line at, and is wider than a phone."""
ENDS = dict.fromkeys(range(4), Outcome.UPDATED) | {4: failure("not_found", f"No completion at {LONG}", status=404)}
ENDS |= {5: (Outcome.DRIFTED, failure("changed_since")[1]), 6: failure("timeout"), 7: Outcome.UNCHANGED}
BY = "ada (token labels)"
WAITS = {"code": "invalid_api_key", "reason": "the API refuses the key", "by": "worker@a"}

look = asyncio.to_thread


@pytest.fixture
def faults_of(browser):
    """Open pages, each with the words that it has to show, and return what keeps people from using them."""

    async def open_pages(pages):
        found = {}
        for name, (path, words) in pages.items():
            await look(browser.open, path, until=words)
            found[name] = await look(browser.faults, name)
        return {name: faults for name, faults in found.items() if faults}

    return open_pages


async def test_pages_without_anything_on_them(faults_of, sign_in, browser):
    """One sentence, and the command or button that fills them."""
    anybody = {"sign-in": ("/sign-in", "Token"), "nothing-signed-out": ("/nothing", "There is no such page")}
    assert await faults_of(anybody) == {}
    await look(browser.open, "/sign-in", until="Token")
    await look(browser.fill, "token", "rlb_wrong")
    await look(browser.click, "Sign in")
    await look(browser.until, "not valid")
    assert await look(browser.faults, "sign-in-wrong") == []
    await sign_in("read")
    pages = {
        "home-empty": ("/", "No job is under way"),
        "jobs-empty": ("/jobs", "There is no job yet"),
        "jobs-none": ("/jobs?state=paused", "No job matches"),
        "completion-empty": ("/completions", "Enter the id"),
        "completion-unknown": ("/completions?id=chatcmpl-none", "Nothing is known"),
        "nightly-empty": ("/nightly", "no nightly run yet"),
        "night-none": ("/nightly/2020-01-01", "No run of this date"),
        "workers-empty": ("/workers", "No worker is alive"),
        "unknown": ("/jobs/nothing", "No job ever had this id"),
        "expired": ("/jobs/20200101-000000-00000000", "kept no more"),
        "nothing": ("/nothing", "There is no such page"),
        "submit-not-permitted": ("/submit", "which you have not"),
    }
    assert await faults_of(pages) == {}


async def test_pages_with_something_on_them(faults_of, sign_in, browser, make_job, ledger):
    """Jobs in each state, their rows, nights and workers."""
    await sign_in("read", "control", "submit")
    ended, running, paused, held, lost = await _jobs(make_job, ledger)
    await _nights(ledger, ended.job_id)
    for name, version in (("celery@a", "0.2.0"), ("celery@b", "0.1.9")):
        await ledger.workers.beat(name, 2, WorkerFacts(host=name[-1], version=version, key="key-12ab", start="1"))
    pages = {
        "workers": ("/workers", "They differ"),  # first, as heartbeats are forgotten within seconds
        "home": ("/", "The API refuses the key"),
        "jobs": ("/jobs", "team-split.csv"),
        "job-finished": (f"/jobs/{ended.job_id}", "Timeline"),
        "job-running": (f"/jobs/{running.job_id}", "rows in all"),
        "job-paused": (f"/jobs/{paused.job_id}", "the API refuses the key"),
        "job-held": (f"/jobs/{held.job_id}", "held"),
        "job-lost": (f"/jobs/{lost.job_id}", "cannot be shown"),
        "job-cause": (f"/jobs/{ended.job_id}?outcome=failed&codes=timeout", "timeout 1"),
        "job-found": (f"/jobs/{ended.job_id}?find={IDS[6]}", "First rows"),
        "job-not-found": (f"/jobs/{ended.job_id}?find=chatcmpl-none", "No row was found"),
        "receipt": (f"/jobs/{ended.job_id}/receipt", "Digests"),
        "completion": (f"/completions?id={IDS[0]}", "oldest first"),
        "nightly": ("/nightly", "2026-11-27"),
        "night": ("/nightly/2026-11-27", "no header"),
        "submit": ("/submit", "Submit a file"),
    }
    assert await faults_of(pages) == {}
    assert await look(browser.errors) == []


async def test_confirmations(faults_of, sign_in, browser, make_job, ledger):
    """Of each action; where it is impossible, not permitted, comes to nothing, or where the job has changed since."""
    await sign_in("read", "control", "submit")
    ended, running, paused, _, lost = await _jobs(make_job, ledger)
    planned = dict.fromkeys(range(8), Outcome.WOULD_CHANGE)
    plan = await make_job(FILE, planned, kind=Kind.PLAN)
    where = {"pause": running, "resume": paused, "cancel": running, "retry": ended, "undo": ended, "verify": ended}
    pages = {word: (f"/jobs/{job.job_id}/actions/{word}", "Back") for word, job in (where | {"apply": plan}).items()}
    pages["retry-nothing"] = (f"/jobs/{ended.job_id}/actions/retry?codes=other", "with these codes")
    pages["resume-impossible"] = (f"/jobs/{ended.job_id}/actions/resume", "cannot be resumed")
    pages["undo-lost"] = (f"/jobs/{lost.job_id}/actions/undo", "Redis lost rows")
    assert await faults_of(pages) == {}

    await look(browser.open, f"/jobs/{running.job_id}/actions/pause", until="rows wait")
    await ledger.jobs.pause(running.job_id, by="eve@b", code="paused", reason="by eve@b", why="")
    await look(browser.click, "Pause")
    stale = await look(browser.until, "Nothing was done")
    assert await look(browser.faults, "pause-stale") == []
    assert "by eve@b" in stale
    await sign_in("read")
    assert await faults_of({"undo-not-permitted": (f"/jobs/{ended.job_id}/actions/undo", "which you have not")}) == {}
    assert await faults_of({"job-not-permitted": (f"/jobs/{ended.job_id}", "Disabled: your token has not")}) == {}


async def test_all_is_well(faults_of, sign_in, ledger):
    """Where a worker lives and nothing waits for anybody."""
    await sign_in("read")
    await ledger.workers.beat("celery@a", 2)
    await ledger.accepted_keys.note(endpoint_of(Settings(_env_file=None)), "celery@a")

    assert await faults_of({"home-well": ("/", "All is well")}) == {}


async def test_a_job_is_paused_with_the_keyboard_alone(browser, new_token, make_job, ledger):
    """From signing in to the confirmation, without a mouse."""
    token = await new_token(Scope.CONTROL)
    job = await make_job(FILE)

    await look(browser.open, f"/jobs/{job.job_id}", until="Token")
    await look(browser.press, token, Keys.ENTER)
    await look(browser.until, "Timeline")
    await look(browser.tab_to, "Pause")
    await look(browser.press, Keys.ENTER)
    await look(browser.until, "Reason, for the job's log")
    await look(browser.tab_to, "reason")
    await look(browser.press, "lunch", Keys.TAB)
    assert await look(browser.focused) == "Pause"
    await look(browser.press, Keys.ENTER)
    shown = await look(browser.until, "lunch")

    assert "paused" in shown
    assert (await ledger.jobs.get(job.job_id)).state == "paused"


async def test_a_job_prints_as_its_receipt(browser, sign_in, make_job, ledger):
    """What was asked for, by whom, and what became of it; no buttons, no navigation, and no ids or values of rows."""
    await sign_in("read", "control")
    job = await make_job(FILE, ENDS, images=True, name="printed.csv", by="ada (token ci)")
    await ledger.audit.note(job.job_id, who="bob (token lead)", verb="approve")
    printed = {}
    for path in (f"/jobs/{job.job_id}", f"/jobs/{job.job_id}/receipt"):
        await look(browser.open, path, until="Timeline")
        await look(browser.print_view)
        printed[path] = await look(browser.until, "printed.csv")
        await look(browser.resize, 1280)

    for shown in printed.values():
        for words in (job.job_id, "finished", "ada (token ci)", "bob (token lead)", "approve", "rejected"):
            assert words in shown, words
        for words in ("Undo", "Workers", "Sign out", "Pause live", "Submit\n", IDS[0], "nnnn", "Find"):
            assert words not in shown, words
    assert "Outcomes" in shown
    assert "Approved" in shown


async def test_nothing_moves_for_those_who_asked_for_that(browser, sign_in, make_job):
    """Bars glide for others only."""
    await sign_in("read")
    await make_job(FILE, {0: Outcome.UPDATED})
    await look(browser.open, "/jobs", until="patches.csv")
    glides = "return getComputedStyle(document.querySelector('.bar .updated')).transitionDuration"

    assert await look(browser.run, glides) == "0s"
    await look(browser.prefer, "prefers-reduced-motion", "no-preference")
    assert await look(browser.run, glides) != "0s"


async def _jobs(make_job, ledger):
    """A job that has ended, and one that runs, is paused, held and lost."""
    ended = await make_job(FILE, ENDS, images=True, name="quality-labels.csv", by=BY)
    running = await make_job(FILE, name="team-split.csv", by=BY)
    some = {row: end for row, end in ENDS.items() if row < 7}
    paused = await make_job(FILE, some, name="reviewed.csv", images=True, by=BY)
    await ledger.jobs.pause(paused.job_id, **WAITS)
    held = await make_job(FILE, name="new-teams.csv", hold=True, by=BY)
    lost = await make_job(FILE, ENDS, name="lost.csv", by=BY)
    await ledger.redis.delete(JobKeys(lost.job_id).shards, JobKeys(lost.job_id).outcomes)
    return ended, running, paused, held, lost


async def _nights(ledger, job_id):
    nights = Nights(ledger.redis)
    night, _ = await nights.begin("2026-11-27", asked_by="ada", overlap="skip")
    files = [night_file("a.csv", FileState.SUBMITTED, job_id=job_id), night_file("b.csv", FileState.DONE)]
    await nights.put(night, [*files, night_file("c.csv", FileState.REJECTED, reason="no header")])
