"""What pages say to somebody who has a browser and no terminal."""

from __future__ import annotations

import re

import pytest

from ledger.approval import ApprovalRule
from ledger.person import unverified
from ledger.row import Outcome
from tests.cli.conftest import failure
from tests.console.conftest import words_of
from web.console.templating import commands, sentence

FILE = "id,team\n" + "".join(f"chatcmpl-{number},t\n" for number in range(4))
JOB = "20261128-075831-a2f3c2cc"


@pytest.mark.parametrize(
    ("command", "address"),
    [
        (f"relabel resume {JOB}", f"/jobs/{JOB}/actions/resume"),
        (f"relabel retry {JOB} --all", f"/jobs/{JOB}/actions/retry?all=true"),
        (f"relabel report {JOB} --summary", f"/jobs/{JOB}#h-causes"),
        (f"relabel receipt {JOB} -o receipt.json", f"/jobs/{JOB}/receipt"),
        (f"relabel watch {JOB}", f"/jobs/{JOB}"),
        ("relabel nightly status", "/nightly"),
    ],
)
def test_a_command_is_a_link_to_the_page_that_does_the_same(command, address):
    """So that a next step can be taken where it is read."""
    assert commands(f"Do `{command}`.") == f'Do <a href="{address}"><code>{command}</code></a>.'


@pytest.mark.parametrize("command", ["relabel run --resume x", f"relabel resume {JOB}/..", "<b>", f"relabel odd {JOB}"])
def test_any_other_command_is_none(command):
    """It is escaped, and nothing else."""
    assert "<a" not in commands(f"`{command}`")
    assert "<b>" not in commands(f"`{command}`")


def test_a_reason_begins_like_a_sentence():
    """Names, codes and addresses stay as they are."""
    assert sentence("the first 20 rows failed") == "The first 20 rows failed"
    for kept in ("celery@a is old", "not_found: 3", "http://a answers", "", "2 rows"):
        assert sentence(kept) == kept


async def test_an_approval_shows_the_keys_and_can_be_refused(person, make_job):
    """Both from one page; the refusal says that it is one."""
    job = await make_job(FILE, by=unverified("bob@laptop"), approval=ApprovalRule(3))
    async with await person("approve", "control", owner="lead") as client:
        home, asked = await client.get("/"), await client.get(f"/jobs/{job.job_id}/actions/approve")
        refusing = words_of(await client.get(f"/jobs/{job.job_id}/actions/cancel"))
    async with await person("approve", owner="eve") as client:
        without = await client.get(f"/jobs/{job.job_id}/actions/approve")

    refusal = f'<a href="/jobs/{job.job_id}/actions/cancel"><code>relabel cancel {job.job_id}</code></a> refuses it'
    assert refusal in home.text
    assert "Keys: team." in words_of(asked)
    assert f'href="/jobs/{job.job_id}/actions/cancel">Refuse</a>' in asked.text
    assert "Refuse" not in words_of(without)
    assert "This refuses the approval" in refusing
    assert "ended before" not in refusing


async def test_an_undo_and_an_apply_leave_alone_what_changed_since(person, make_job):
    """Which the confirmations say."""
    job = await make_job(FILE, dict.fromkeys(range(4), Outcome.UPDATED), images=True)
    async with await person("control") as client:
        undo = words_of(await client.get(f"/jobs/{job.job_id}/actions/undo"))

    assert "in 4 rows. Rows that somebody changed since are left alone" in undo


async def test_home_without_jobs_leads_to_the_form(person):
    """As a server of its own takes no job from the command line."""
    async with await person("submit") as client:
        page = await client.get("/")

    assert '<a href="/submit">Submit a file</a>' in page.text.partition("No job is under way")[2]


async def test_a_job_that_finished_badly_looks_so_in_the_list(person, make_job):
    """By a sign and a colour: somebody who looks at a phone reads no numbers."""
    await make_job(FILE, dict.fromkeys(range(4), Outcome.UPDATED), name="good.csv")
    await make_job(FILE, dict.fromkeys(range(3), Outcome.UPDATED) | {3: failure("timeout")}, name="bad.csv")
    async with await person("read") as client:
        page = await client.get("/jobs")

    states = re.findall(r'class="state (state-\w+)"><span aria-hidden="true">(.)</span> finished', page.text)
    assert states == [("state-warn", "▲"), ("state-finished", "✓")]
