"""A page that changes while somebody looks at it: by a stream, by asking again, or not at all where they said so."""

from __future__ import annotations

import asyncio
import re
import signal
from itertools import pairwise

import httpx
import pytest

from config.web import Scope
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.row import Outcome
from ledger.tokens import TokenRequest
from tests.console.conftest import LONGEST_S, Browser
from tests.harness.redis_server import PrivateRedis
from tests.harness.rows import PatchRows
from tests.web.conftest import end_server, start_server

pytestmark = pytest.mark.promise
IDS = PatchRows(12).ids
FILE = "id,team\n" + "".join(f"{each},t{number}\n" for number, each in enumerate(IDS))
SINCE = re.compile(r"Not live since \d\d:\d\d:\d\d UTC")
WATCH = """
window.announced = [];
new MutationObserver(() => announced.push([Date.now(), document.querySelector(".announce").textContent]))
  .observe(document.querySelector(".announce"), {childList: true, characterData: true, subtree: true});
"""

look = asyncio.to_thread


async def test_a_page_changes_while_the_job_does(browser, sign_in, make_job, end_rows):
    """Counts change by themselves, and live updates can be paused."""
    await sign_in("read")
    job = await make_job(FILE, {0: Outcome.UPDATED})
    await look(browser.open, f"/jobs/{job.job_id}", until="Live")

    await end_rows(job, {1: Outcome.UPDATED, 2: Outcome.UPDATED})
    await look(browser.until, "25%, 3 of 12 rows")
    await look(browser.click, "Pause live updates")
    paused = await look(browser.until, "Resume live updates")
    assert await look(browser.faults, "job-live-paused") == []
    await look(browser.click, "Resume live updates")
    await end_rows(job, {3: Outcome.UPDATED, 4: Outcome.UPDATED})
    await look(browser.until, "41%, 5 of 12 rows")

    assert re.search(r"Paused at \d\d:\d\d:\d\d UTC", paused)


async def test_the_whole_page_of_a_job_shows_its_end(browser, sign_in, make_job, end_rows):
    """Its rows, what was found and what was made of it, without loading it again; what somebody has typed stays."""
    await sign_in("read")
    job = await make_job(FILE, kind="plan", images=True)
    await look(browser.open, f"/jobs/{job.job_id}", until="Live")
    await look(browser.fill, "find", "chatcmpl-half")
    begun = await look(browser.until, "Nothing so far")

    await end_rows(job, dict.fromkeys(range(12), Outcome.WOULD_CHANGE))
    await make_job(FILE, kind="apply", parent=job.job_id, by="ada@x")
    ended = await look(browser.until, "Digest:")

    for words in ("Receipt", "Made of it", "would change 12"):
        assert words not in begun, words
        assert words in ended, words
    assert await look(browser.run, "return document.querySelector('[name=find]').value") == "chatcmpl-half"


async def test_focus_and_what_is_unfolded_stay_while_a_page_changes(browser, sign_in, make_job, end_rows, ledger):
    """On a job's page, and in a list into which another job comes."""
    await sign_in("read", "control")
    job = await make_job(FILE, {0: Outcome.UPDATED}, name="first.csv")
    await look(browser.open, f"/jobs/{job.job_id}", until="Live")
    await look(browser.focus, "Cancel")
    await end_rows(job, {1: Outcome.UPDATED, 2: Outcome.UPDATED})
    await look(browser.until, "25%, 3 of 12 rows")
    assert await look(browser.focused) == "Cancel"
    await look(browser.open, "/jobs", until="first.csv")
    await look(browser.focus, "first.csv")
    await make_job(FILE, name="second.csv")
    listed = await look(browser.until, "second.csv")

    assert await look(browser.focused) == "first.csv"
    assert listed.index("second.csv") < listed.index("first.csv")


async def test_counts_are_announced_politely(browser, sign_in, make_job, end_rows):
    """Every 10 seconds at most, and how it ended is said in the end."""
    await sign_in("read")
    job = await make_job(FILE)
    await look(browser.open, f"/jobs/{job.job_id}", until="Live")
    await look(browser.run, WATCH)
    for number in range(12):
        await end_rows(job, {number: Outcome.UPDATED})
        await look(browser.until, f"{number + 1} of 12 rows")
    await look(browser.until_found, lambda: "12 of 12 rows" in str(browser.run("return window.announced")))
    announced = await look(browser.run, "return window.announced")

    times = [at for at, _ in announced]
    assert all(later - earlier >= 9_900 for earlier, later in pairwise(times))
    assert len(announced) < 12
    assert announced[-1][1].startswith("✓ finished")
    assert await look(browser.run, "return document.querySelector('.announce').getAttribute('aria-live')") == "polite"


async def test_a_page_that_lost_its_stream_says_since_when_and_comes_back(browser, sign_in, make_job, end_rows):
    """It asks again every 10 seconds, and is live once the stream is there."""
    await sign_in("read")
    job = await make_job(FILE, {0: Outcome.UPDATED})
    await look(browser.open, f"/jobs/{job.job_id}", until="Live")

    await look(browser.offline, True)
    lost = await look(browser.until, "Not live since ")
    await look(browser.offline, False)
    await end_rows(job, {1: Outcome.UPDATED, 2: Outcome.UPDATED})
    await look(browser.until, "25%, 3 of 12 rows")
    await look(browser.until_found, lambda: "Live" in browser.live())

    assert SINCE.search(lost)


async def test_a_page_outlives_its_server_and_redis(chromium, state_dir):
    """Each is killed and started again: what was shown stays, with since when, and is live again by itself."""
    with PrivateRedis(state_dir) as redis:
        served = await look(start_server, state_dir, RELABEL_REDIS__URL=redis.url)
        browser = Browser(chromium, served.url)
        try:
            async with open_ledger(redis.url) as client:
                ledger = Ledger(client)
                request = TokenRequest(name="t", owner="ada", scopes=[Scope.SUBMIT], created_by="tests")
                token, _ = await ledger.tokens.create(request, life_s=600)
                await look(browser.be, await ledger.browser_sessions.begin(token))
                job_id = await _submit(served.url, token)
            await look(browser.open, f"/jobs/{job_id}", until="Live")
            await look(browser.run, "window.same = 'page'")
            redis.kill()
            away = await look(browser.until, "Not live since ")
            assert await look(browser.faults, "job-not-live") == []
            redis.start()
            await look(browser.until_found, lambda: browser.live().startswith("Live"))
            served.process.send_signal(signal.SIGKILL)
            killed = await look(browser.until, "Not live since ")
            await look(end_server, served)
            port = served.url.rpartition(":")[2]
            served = await look(start_server, state_dir, "--port", port, RELABEL_REDIS__URL=redis.url)
            await look(browser.until_found, lambda: browser.live().startswith("Live"))
            assert await look(browser.run, "return window.same") == "page"
        finally:
            await look(chromium.get, "about:blank")
            await look(end_server, served)

    for shown in (away, killed):
        assert SINCE.search(shown)
        assert "0 of 12 rows" in shown


async def _submit(url, token):
    """Store a job whose rows are open, and return its id."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=LONGEST_S) as client:
        return (await client.post("/v1/jobs", files={"file": ("patches.csv", FILE)})).json()["job_id"]
