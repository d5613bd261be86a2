"""What can be done on the pages: by state and scope, after a confirmation that says what will happen."""

from __future__ import annotations

import asyncio
import re

import pytest

from config.web import Scope
from ledger.row import Outcome
from tests.cli.conftest import failure
from tests.harness.rows import PatchRows
from web.console.actions import ACTIONS

IDS = PatchRows(6).ids
FILE = "id,team\n" + "".join(f"{each},t{number}\n" for number, each in enumerate(IDS))
ALL_ENDED = dict.fromkeys(range(4), Outcome.UPDATED) | {
    4: failure("server_error", "Down", status=500),
    5: failure("not_found", "No such completion", status=404),
}

look = asyncio.to_thread


def hidden(page):
    """The hidden fields of the form of a confirmation."""
    form = page.text[page.text.index("/actions/") :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[form.index("<input") :]))


async def test_the_scope_of_an_action_is_that_of_its_endpoint(person):
    """And each action of the API has one here."""
    async with await person("read") as client:
        document = (await client.get("/openapi.json")).json()
    found = {
        path.rpartition("/")[2]: methods["post"]["x-relabel-scope"]
        for path, methods in document["paths"].items()
        if path.startswith("/v1/jobs/{job_id}/") and "post" in methods
    }

    assert {word: str(action.scope) for word, action in ACTIONS.items()}.items() <= found.items()
    assert set(found) - set(ACTIONS) <= {"approve"}


@pytest.mark.promise
async def test_a_lead_pauses_resumes_and_cancels_a_job(browser, sign_in, make_job, ledger):
    """Each after a page that says what will happen to how many rows; the reason stands in the log under their name."""
    await sign_in("read", "control")
    job = await make_job(FILE, {0: Outcome.UPDATED})

    await look(browser.open, f"/jobs/{job.job_id}", until="Pause")
    await look(browser.click, "Pause")
    asked = await look(browser.until, "Reason, for the job's log")
    assert await look(browser.faults, "pause") == []
    await look(browser.fill, "reason", "wrong file")
    await look(browser.click, "Pause")
    paused = await look(browser.until, "wrong file")
    assert await look(browser.faults, "job-paused") == []
    await look(browser.click, "Resume")
    resuming = await look(browser.until, "each once")
    await look(browser.click, "Resume")
    await look(browser.until, "no worker is alive")
    await look(browser.click, "Cancel")
    cancelling = await look(browser.until, "will end as cancelled")
    await look(browser.click, "Cancel")
    cancelled = await look(browser.until, "cancelled")

    assert "5 rows wait until the job is resumed" in asked
    assert "paused" in paused
    assert "5 rows will be carried out" in resuming
    assert "5 rows will end as cancelled; nothing happens to 1 row that ended before" in cancelling
    assert job.job_id in cancelled
    log = await ledger.audit.read(job.job_id)
    assert [(line.verb, line.who) for line in log if line.who.startswith("ada")] == [
        (verb, "ada (token t-read-control)") for verb in ("pause", "resume", "cancel")
    ]


@pytest.mark.parametrize(("word", "rows"), [("retry", 1), ("undo", 6), ("verify", 6)])
async def test_a_new_job_is_made_of_the_rows_that_were_shown(person, make_job, ledger, word, rows):
    """The confirmation counts them, failed ones with an image among those to undo; afterwards the new job is shown."""
    job = await make_job(FILE, ALL_ENDED, images=True)
    async with await person("control", "submit") as client:
        asked = await client.get(f"/jobs/{job.job_id}/actions/{word}")
        done = await client.post(f"/jobs/{job.job_id}/actions/{word}", data=hidden(asked))

    assert f" {rows} row" in asked.text, re.sub("<[^>]*>", "", asked.text)
    made = await ledger.jobs.get(done.url.path.rpartition("/")[2])
    assert (str(made.spec.kind), made.spec.parent, made.counts.total) == (word, job.job_id, rows)
    assert made.spec.by == "ada (token p-control-submit)"


async def test_a_stale_form_does_nothing_and_shows_both(person, make_job, ledger):
    """The state that it was shown with, and the one that the job has now."""
    job = await make_job(FILE, {0: Outcome.UPDATED})
    async with await person("control") as client:
        asked = await client.get(f"/jobs/{job.job_id}/actions/cancel")
        await ledger.jobs.pause(job.job_id, by="eve@b", code="paused", reason="by eve@b", why="")
        stale = await client.post(f"/jobs/{job.job_id}/actions/cancel", data=hidden(asked))
        fewer = await client.post(f"/jobs/{job.job_id}/actions/undo", data=hidden(stale) | {"rows": "3"})

    assert stale.status_code == 409
    assert "Nothing was done" in stale.text
    assert "Then: running" in stale.text
    assert "Now: paused" in stale.text
    assert (await ledger.jobs.get(job.job_id)).state == "paused"
    assert fewer.status_code >= 400
    assert await ledger.audit.made_of(job.job_id) == []


async def test_two_people_at_once_cancel_a_job_once(person, make_job, ledger):
    """The second one gets to know that there is nothing to do."""
    job = await make_job(FILE, {0: Outcome.UPDATED})
    path = f"/jobs/{job.job_id}/actions/cancel"
    async with await person("control") as client, await person("control", "submit") as other:
        forms = [hidden(await each.get(path)) for each in (client, other)]
        answers = [await each.post(path, data=form) for each, form in zip((client, other), forms, strict=True)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert "cannot be cancelled" in answers[1].text
    log = await ledger.audit.read(job.job_id)
    assert sum(line.verb == "cancel" for line in log) == 1


@pytest.mark.parametrize("scopes", [("read",), ("submit",), ("control",)])
async def test_whoever_has_not_the_scope_sees_a_disabled_button_and_does_nothing(person, make_job, ledger, scopes):
    """The missing scope is named; a form sent all the same is refused."""
    job = await make_job(FILE, ALL_ENDED, images=True)
    async with await person(*scopes) as client:
        page = await client.get(f"/jobs/{job.job_id}")
        check = re.search(r'name="check" value="(\w+)"', page.text)[1]
        for word in ("retry", "undo", "verify"):
            action, permitted = ACTIONS[word], ACTIONS[word].scope in {Scope(each) for each in scopes}
            shown = await client.get(f"/jobs/{job.job_id}/actions/{word}")
            assert (f'/actions/{word}"' in page.text) is permitted
            assert ('<form method="post" action="/jobs/' in shown.text) is permitted
            if not permitted:
                assert f"the scope {action.scope}" in page.text or f"or {action.scope}" in page.text
                assert f"<code>{action.scope}</code>" in shown.text
                sent = await client.post(
                    f"/jobs/{job.job_id}/actions/{word}", data={"check": check, "state": "finished", "rows": "1"}
                )
                assert sent.status_code == 403

    assert await ledger.audit.made_of(job.job_id) == []


async def test_a_form_without_what_ours_carry_does_nothing(person, make_job, ledger):
    """As another site might send it."""
    job = await make_job(FILE)
    async with await person("control") as client:
        answer = await client.post(f"/jobs/{job.job_id}/actions/cancel", data={"state": "running"})

    assert answer.status_code == 403
    assert (await ledger.jobs.get(job.job_id)).state == "running"
