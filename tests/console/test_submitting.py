"""Submitting on a page: a preview before anything is sent, a plan, and files that cannot be taken."""

from __future__ import annotations

import asyncio
import secrets

import httpx
import pytest

from ledger.job import JobState
from tests.console.conftest import LONGEST_S
from tests.harness.rows import PatchRows
from web.callers import SESSION_COOKIE, Caller
from web.console.pages import form_check

IDS = PatchRows(6).ids
FILE = "id,team\n" + "".join(f"{each},t{number}\n" for number, each in enumerate(IDS)) + "bad id,x\n"

look = asyncio.to_thread


@pytest.fixture
async def submit(served, ledger, new_token):
    """Send the form with a file, as somebody with these scopes; without what our forms carry where `own` is False."""

    async def send(content, *scopes, name="labels.csv", own=True, **fields):
        session = await ledger.browser_sessions.begin(await new_token(*scopes, name=secrets.token_hex(4)))
        check = form_check(Caller("", frozenset(), session=session)) if own else ""
        options = {"base_url": served.url, "timeout": LONGEST_S, "trust_env": False, "verify": False}
        options["follow_redirects"] = True
        async with httpx.AsyncClient(**options, cookies={SESSION_COOKIE: session}) as client:
            data = {"form_check": check, "mode": "merge", "first": "preview"} | fields
            return await client.post(
                "/submit", data=data, files={"file": (name, content)}, headers={"Origin": served.url}
            )

    return send


@pytest.mark.promise
async def test_a_lead_uploads_a_file_sees_its_preview_and_starts_it(browser, sign_in, ledger, tmp_path):
    """Until then it is held, and nothing of it is sent."""
    await sign_in("submit", "control")
    file = tmp_path / "labels.csv"
    file.write_text(FILE)

    await look(browser.open, "/submit", until="Submit a file")
    assert await look(browser.faults, "submit") == []
    await look(browser.choose, "file", file)
    await look(browser.click, "Go on")
    preview = await look(browser.until, "nothing is sent before somebody starts it")
    assert await look(browser.faults, "preview") == []
    (held,) = await ledger.jobs.latest(1)
    await look(browser.click, "Start")
    await look(browser.until, "6 rows will be carried out")
    await look(browser.click, "Start")
    await look(browser.until, "no worker is alive")

    for words in ("Preview of labels.csv", "completions to change\n6", "rejected\n1", "team", "t0", "white space"):
        assert words in preview, words
    assert (held.state, held.spec.by) == (JobState.HELD, "ada (token t-submit-control)")
    assert (await ledger.jobs.get(held.spec.job_id)).state is JobState.RUNNING


async def test_a_file_is_planned_first_where_that_is_chosen(submit, ledger):
    """The plan runs, as it changes nothing; its page is shown."""
    page = await submit(FILE, "submit", first="plan")

    (plan,) = await ledger.jobs.latest(1)
    assert page.url.path == f"/jobs/{plan.spec.job_id}"
    assert (str(plan.spec.kind), plan.state) == ("plan", JobState.RUNNING)


async def test_questions_stand_above_the_button_that_starts_the_job(submit, ledger):
    """Starting it is the yes."""
    numbered = "id,index\n" + "".join(f"{each},{number}\n" for number, each in enumerate(IDS))

    page = await submit(numbered, "submit", "control")

    (held,) = await ledger.jobs.latest(1)
    assert "Look at this first" in page.text
    assert "row numbers" in page.text
    assert page.text.index("Look at this first") < page.text.index("/actions/resume")
    assert held.state is JobState.HELD


async def test_the_same_file_makes_one_job(submit, ledger):
    """The second time the page says which it is."""
    await submit(FILE, "submit")
    page = await submit(FILE, "submit")

    assert "submitted before" in page.text
    assert len(await ledger.jobs.latest(10)) == 1


@pytest.mark.parametrize(
    ("content", "scopes", "fields", "status", "said"),
    [("id,team\nbad id,x\n", ("submit",), {}, 422, "rejected"), (FILE, ("submit",), {"rate": "fast"}, 422, "rate"),
     (FILE, ("read",), {}, 403, "<code>submit</code>"), (FILE, ("control",), {}, 403, "<code>submit</code>"),
     (FILE, ("submit",), {"own": False}, 403, "not sent by a page"), (FILE, ("submit",), {"check": "x"}, 422, "check")],
)  # fmt: skip
async def test_what_cannot_be_taken_leaves_nothing(submit, ledger, content, scopes, fields, status, said):
    """And the page says why."""
    page = await submit(content, *scopes, **fields)

    assert page.status_code == status
    assert said in page.text
    assert await ledger.jobs.latest(10) == []
