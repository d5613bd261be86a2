"""What can be done on the pages: by state and scope, after a confirmation that says what will happen."""

from __future__ import annotations

import asyncio
import html
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
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[form.index("<input") :])
    return {name: html.unescape(value) for name, value in found}


async def test_the_scope_of_an_action_is_that_of_its_endpoint(person):
    """And each action of the API has one here."""
    async with await person("read") as client:
        document = (await client.get("/openapi.json")).json()
    found = {
        path.rpartition("/")[2]: methods["post"]["x-relabel-scope"]
        for path, methods in document["paths"].items()
        if path.startswith("/v1/jobs/{job_id}/") and "post" in methods
    }

    assert {word: str(action.scope) for word, action in ACTIONS.items()} == found


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
    await look(browser.click, "Cancel the job")
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
    """The state with its reason that it was shown with, and that which the job has now."""
    job = await make_job(FILE, {0: Outcome.UPDATED})
    path = f"/jobs/{job.job_id}/actions"
    async with await person("control") as client:
        asked = await client.get(f"{path}/cancel")
        await ledger.jobs.pause(job.job_id, by="eve@b", code="paused", reason="by eve@b", why="")
        stale = await client.post(f"{path}/cancel", data=hidden(asked))
        resuming = await client.get(f"{path}/resume")
        await ledger.jobs.resume(job.job_id, by="eve@b")
        await ledger.jobs.pause(job.job_id, by="worker@a", code="tls", reason="the certificate <expired>", why="")
        otherwise = await client.post(f"{path}/resume", data=hidden(resuming))

    assert (stale.status_code, otherwise.status_code) == (409, 409)
    for page, then, now in (
        (stale, "running", "paused: by eve@b"),
        (otherwise, "paused: by eve@b", "paused: the certificate &lt;expired&gt;"),
    ):
        assert "Nothing was done" in page.text
        assert f"<dt>Then</dt><dd>{then}</dd>" in page.text
        assert f"<dt>Now</dt><dd>{now}</dd>" in page.text
    assert (await ledger.jobs.get(job.job_id)).reason_code == "tls"
    assert await ledger.audit.made_of(job.job_id) == []


async def test_a_form_for_other_rows_than_there_are_does_nothing_and_shows_both(person, make_job, ledger):
    """Those that were counted when it was shown, and those of now."""
    job = await make_job(FILE, ALL_ENDED, images=True)
    async with await person("control") as client:
        asked = await client.get(f"/jobs/{job.job_id}/actions/undo")
        stale = await client.post(f"/jobs/{job.job_id}/actions/undo", data=hidden(asked) | {"rows": "3"})

    assert stale.status_code == 409
    assert "<dt>Then</dt><dd>finished, 3 rows</dd>" in stale.text
    assert "<dt>Now</dt><dd>finished, 6 rows</dd>" in stale.text
    assert await ledger.audit.made_of(job.job_id) == []


async def test_the_rows_of_one_cause_are_tried_again(person, make_job, ledger):
    """Which its own button asks for; rows that cannot work as they are only where somebody says all."""
    job = await make_job(FILE, ALL_ENDED | {3: failure("timeout")}, images=True)
    path = f"/jobs/{job.job_id}/actions/retry"
    async with await person("control") as client:
        page = await client.get(f"/jobs/{job.job_id}")
        asked = await client.get(f"{path}?codes=timeout")
        done = await client.post(path, data=hidden(asked))
        every = await client.get(f"{path}?all=true")

    assert f'href="{path}?codes=timeout"' in page.text
    assert "tries again 1 row with the code timeout" in asked.text
    assert "tries again 3 rows" in every.text
    made = await ledger.jobs.get(done.url.path.rpartition("/")[2])
    assert made.counts.total == 1


async def test_an_action_that_comes_to_nothing_says_why_and_what_would(person, make_job):
    """On the page of the action, with the button for it."""
    job = await make_job(FILE, dict.fromkeys(range(5), Outcome.UPDATED) | {5: ALL_ENDED[5]}, images=True)
    async with await person("control") as client:
        asked = await client.get(f"/jobs/{job.job_id}/actions/retry")

    assert asked.status_code == 422
    assert "no rows to retry that can work as they are" in asked.text
    assert f'href="/jobs/{job.job_id}/actions/retry?all=true"' in asked.text


async def test_a_job_has_buttons_for_what_its_rows_allow(person, make_job):
    """None to retry where nothing failed, none to undo where nothing was sent."""
    held, running, ended = await make_job(FILE, hold=True), await make_job(FILE), await make_job(FILE, ALL_ENDED)
    found = {}
    async with await person("control", "submit") as client:
        for job in (held, running, ended):
            page = await client.get(f"/jobs/{job.job_id}")
            found[job.job_id] = re.findall(r'class="button[\w ]*" href="/jobs/[\w-]+/actions/(\w+)"', page.text)

    assert list(found.values()) == [["resume", "cancel"], ["pause", "cancel"], ["retry", "undo", "verify"]]


async def test_two_people_and_a_command_line_act_at_once(person, make_job, ledger, relabel):
    """Each act happens once or not at all, and who came too late sees both states."""
    job = await make_job(FILE, {0: Outcome.UPDATED})
    path = f"/jobs/{job.job_id}/actions"
    async with await person("control") as client, await person("control", "submit", owner="bob") as other:
        pausing, cancelling = hidden(await client.get(f"{path}/pause")), hidden(await other.get(f"{path}/cancel"))
        paused, cancelled, ended = await asyncio.gather(
            client.post(f"{path}/pause", data=pausing),
            other.post(f"{path}/cancel", data=cancelling),
            relabel("cancel", job.job_id, "--yes"),
        )

    log = [line.verb for line in await ledger.audit.read(job.job_id)]
    assert (await ledger.jobs.get(job.job_id)).state == "cancelled"
    assert log.count("cancel") == 1
    assert log.count("pause") <= 1
    assert ended.code in {0, 2}
    assert {paused.status_code, cancelled.status_code} <= {200, 409}
    for page in (paused, cancelled):
        assert ("Nothing was done" in page.text) is (page.status_code == 409)


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
