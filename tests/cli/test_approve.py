"""`relabel approve`: a large job is held at every door of the command line, until somebody else approves it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.approval import ApprovalRule
from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.person import unverified
from tests.harness.rows import lines

CSV = lines("blue", "blue", "red", header="completion_id,team")
ADA, LEAD = {"RELABEL_USER": "ada"}, {"RELABEL_USER": "lead", "RELABEL_APPROVAL__ALLOW_LOCAL": "true"}

Relabel = Callable[..., Awaitable[Any]]


@pytest.fixture
async def job(make_job: Callable[..., Awaitable[JobSpec]]) -> JobSpec:
    """A job of three rows that waits for its approval."""
    return await make_job(CSV, by=unverified("ada"), approval=ApprovalRule(2))


async def test_approve_shows_what_it_lets_happen(relabel: Relabel, job: JobSpec) -> None:
    """The wording, whole: rows, who submitted them, digest; and what follows."""
    asked = await relabel("approve", job.job_id, **LEAD)
    assert asked.code == 2, asked.err

    ended = await relabel("approve", job.job_id, "--yes", **LEAD)

    submitted = asked.err.splitlines()[3]
    assert submitted.startswith("Submitted 20")
    assert submitted.endswith(" by ada (unverified)")
    shown = [
        f"Job       {job.job_id} (patches.csv)",
        "Rows      3 rows, file, merge",
        "Target    https://api.openai.com/v1",
        submitted,
        "Keys      team",
        f"Digest    {job.fingerprint}",
    ]
    no_terminal = "relabel: there is no terminal to ask at whether to approve this; add --yes. Nothing was approved."
    assert asked.err.splitlines() == [*shown, no_terminal]
    here = f"`relabel run --resume {job.job_id}`"
    idle = f"It waits, as no worker is alive: see `relabel health`, or use {here}."
    assert (ended.code, ended.err.splitlines()) == (0, [*shown, f"Job {job.job_id} is approved.", idle])


async def test_a_job_that_waits_says_who_has_to_do_what(relabel: Relabel, job: JobSpec) -> None:
    """In its status, in the list of held jobs, and to who resumes it."""
    status = await relabel("status", job.job_id)
    assert status.code == 3
    facts = {line[:11].strip(): line[11:] for line in status.out.splitlines()}
    assert facts["State"] == "held"
    assert facts["Reason"] == "3 rows, more than 2: somebody other than ada has to approve it"
    assert facts["Next"] == f"`relabel approve {job.job_id}` approves it, `relabel cancel {job.job_id}` refuses it."
    assert facts["Held"].startswith("since 20")
    assert facts["Approve"] == f"digest {job.fingerprint}"

    listed = await relabel("jobs", "--state", "held")
    assert "since 20" in listed.out
    assert "somebody other than ada has to approve it" in listed.out

    resumed = await relabel("resume", job.job_id)
    assert (resumed.code, "needs approval" in resumed.err) == (3, True)


async def test_an_approved_job_says_so_in_status_and_json(relabel: Relabel, job: JobSpec) -> None:
    """Approving again changes nothing, and says who did."""
    before = json.loads((await relabel("status", job.job_id, "--json")).out)
    assert before["reason_code"] == "needs_approval"
    assert (before["approval_digest"], before["approved_by"], before["approved_at"]) == (job.fingerprint, None, None)
    assert before["held_at"] is not None

    first = await relabel("approve", job.job_id, "--yes", "--json", **LEAD)
    again = await relabel("approve", job.job_id, **(LEAD | {"RELABEL_USER": "bob"}))

    after = json.loads(first.out)
    assert (after["state"], after["approved_by"], after["held_at"]) == ("running", "lead (unverified)", None)
    assert after["approved_at"] >= before["submitted_at"]
    assert (again.code, "was approved before, by lead (unverified)" in again.err) == (0, True)
    assert "by lead (unverified), digest" in (await relabel("status", job.job_id)).out
    log = json.loads((await relabel("log", job.job_id, "--json")).out)
    assert [(line["who"], line["verb"]) for line in log] == [
        ("ada (unverified)", "submit"),
        ("lead (unverified)", "approve"),
    ]


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        (LEAD | ADA, (), "ada has submitted job"),
        (LEAD | {"RELABEL_USER": "Ada@example.org"}, (), "ada has submitted job"),
        ({"RELABEL_USER": "lead"}, (), "RELABEL_APPROVAL__ALLOW_LOCAL"),
        (LEAD, ("--digest", "abc"), "has the digest"),
    ],
)
async def test_who_may_not_approve_is_told_why(
    relabel: Relabel, ledger: Ledger, job: JobSpec, settings: dict[str, str], options: tuple[str, ...], said: str
) -> None:
    """One's own job, a name that nobody vouches for, another digest: all end with 2, and nothing is approved."""
    ended = await relabel("approve", job.job_id, "--yes", *options, **settings)

    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert (await ledger.jobs.get(job.job_id)).waits_for_approval


async def test_a_refusal_is_a_cancelled_job(relabel: Relabel, job: JobSpec) -> None:
    """With its reason; then there is nothing to approve."""
    assert (await relabel("cancel", job.job_id, "--reason", "wrong project")).code == 0

    ended = await relabel("approve", job.job_id, "--yes", **LEAD)

    assert (ended.code, "only a job that is held can be approved" in ended.err) == (2, True)


async def test_a_job_that_needs_no_approval_says_so(relabel: Relabel, make_job: Any) -> None:
    """It is no question of who asks."""
    spec = await make_job(CSV)

    ended = await relabel("approve", spec.job_id, "--yes", **LEAD)

    assert (ended.code, "needs no approval" in ended.err) == (2, True)


async def test_a_submitted_job_that_waits_ends_the_command_with_3(relabel: Relabel, tmp_path: Path) -> None:
    """Also where nobody waits for it, and where the same file is submitted again."""
    (tmp_path / "patches.csv").write_text(CSV)
    settings = ADA | {"RELABEL_APPROVAL__ABOVE_ROWS": "2", "OPENAI_API_KEY": "k"}

    first = await relabel("submit", "patches.csv", **settings)
    again = await relabel("submit", "patches.csv", **settings)

    assert (first.code, again.code, first.out == again.out) == (3, 3, True)
    for said in ("somebody other than ada has to approve it", "relabel approve"):
        assert said in first.err
        assert said in again.err
    assert (await relabel("approve", "last", "--yes", **(LEAD | ADA))).code == 2
