"""A file that was submitted before: which job it is, how that stands, what to do next, and the exit code."""

from __future__ import annotations

import json

import pytest

from ledger.job import JobState
from ledger.ledger import Ledger
from ledger.row import Outcome
from sandbox import Sandbox, SandboxOptions

CSV = (
    "completion_id,team\nchatcmpl-CUL7LH3wC39LYNbTfcOm9Q7Xrow0001,blue\nchatcmpl-CUL7LH3wC39LYNbTfcOm9Q7Xrow0002,blue\n"
)
KEY = "sk-former"


@pytest.fixture
def file(tmp_path) -> str:
    """Two rows."""
    (tmp_path / "rows.csv").write_text(CSV)
    return "rows.csv"


async def test_submit_names_the_former_job_its_state_and_the_next_step(
    relabel, end_rows, ledger: Ledger, file: str
) -> None:
    """And ends as `run` does where it is known; nothing new is stored, but for a job that applied nothing."""
    first = (await relabel("submit", file)).out.strip()

    again = await relabel("submit", file)
    assert (again.code, again.out.strip()) == (0, first)
    assert f"as job {first}, which is running; `relabel watch {first}`" in again.err
    for move, state, step in (
        (lambda: ledger.jobs.pause(first, by="test", code="paused", reason="by me"), "paused: by me", "resume"),
        (lambda: ledger.jobs.move(first, JobState.HELD, come_from=[JobState.PAUSED]), "held", "resume"),
    ):
        await move()
        again = await relabel("submit", file)
        assert (again.code, again.out.strip()) == (3, first)
        assert f"as job {first}, which is {state}" in again.err
        assert f"`relabel {step} {first}`" in again.err
    assert len(await ledger.jobs.latest(10)) == 1

    await ledger.jobs.cancel(first, by="test")
    second = await relabel("submit", file)
    assert (second.code, second.out.strip() != first) == (0, True)
    assert f"Job {first} of the same content was cancelled" in second.err

    spec = (await ledger.jobs.get(second.out.strip())).spec
    await end_rows(spec, {0: Outcome.UPDATED, 1: Outcome.FAILED})
    for options in ([], ["--wait"]):
        again = await relabel("submit", file, *options)
        assert (again.code, again.out.strip()) == (1, spec.job_id)
        assert f"as job {spec.job_id}; --again applies it once more" in again.err


async def test_a_file_without_a_valid_row_makes_no_job(relabel, ledger: Ledger, tmp_path) -> None:
    """What is wrong with it is shown, and the exit code is that of an unusable file."""
    (tmp_path / "bad.csv").write_text("completion_id,team\n,blue\n")

    ended = await relabel("submit", "bad.csv")

    assert (ended.code, ended.out, await ledger.jobs.latest(10)) == (2, "", [])
    assert "bad.csv: the only row is rejected, so there is no job" in ended.err


async def test_a_file_of_rows_without_a_change_has_ended_when_it_is_submitted(
    relabel, ledger: Ledger, tmp_path
) -> None:
    """The exit code is that of `run`; --strict has nothing against such rows, and the same file is known again."""
    (tmp_path / "sparse.csv").write_text("completion_id,team\na,\nb,\n")

    first, again = await relabel("submit", "sparse.csv", "--strict", "--yes"), await relabel("submit", "sparse.csv")

    job = await ledger.jobs.get(first.out.strip())
    assert (first.code, again.code, again.out) == (0, 0, first.out)
    assert (job.state, job.counts.unchanged, job.counts.total) == (JobState.FINISHED, 2, 2)


async def test_run_goes_on_with_what_was_interrupted_and_leaves_alone_what_somebody_paused(
    relabel, ledger: Ledger, file: str
) -> None:
    """Exit code 3 with the next step, and nothing is asked for; then the same command ends the interrupted job."""
    async with Sandbox(SandboxOptions(api_key=KEY, accept_any_id=True)) as sandbox:
        api = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": sandbox.base_url}
        job_id = (await relabel("submit", file, **api)).out.strip()
        await ledger.jobs.pause(job_id, by="test", code="paused", reason="by the operator")

        left = await relabel("run", file, "--json", **api)

        assert (left.code, json.loads(left.out)["job_id"]) == (3, job_id)
        assert f"as job {job_id}, which is paused: by the operator" in left.err
        assert f"`relabel run --resume {job_id}`" in left.err
        assert (await ledger.jobs.get(job_id)).counts.pending == 2

        await ledger.jobs.resume(job_id, by="test")
        await ledger.jobs.pause(job_id, by="test", code="interrupted", reason="interrupted")
        ended = await relabel("run", file, "--json", **api)

    assert (ended.code, json.loads(ended.out)["job_id"], json.loads(ended.out)["state"]) == (0, job_id, "finished")
