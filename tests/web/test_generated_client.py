"""A client that a stranger's generator makes of the document: it submits, looks, and acts."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from config.web import Scope
from tests.harness.rows import PatchRows

IDS = PatchRows(5).ids
CSV = ("id,team\n" + "".join(f"{each},t\n" for each in IDS)).encode()
ROWS = {"rows": [{"id": each, "metadata": {"team": "t"}} for each in IDS]}


def generate(url: str, folder: Any) -> str:
    """Generate the client of a server; return what the generator had to say."""
    document = httpx.get(f"{url}/openapi.json", trust_env=False).json()
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", folder / "openapi.json"]
    command += ["--meta", "none", "--output-path", folder / "theirs"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Theirs:
    """The operations of the generated client, each by its name, with the server's address and a token."""

    def __init__(self, url: str, token: str) -> None:
        made = importlib.import_module("theirs")
        self.client = made.AuthenticatedClient(base_url=url, token=token, httpx_args={"trust_env": False})
        self.models, self.types = importlib.import_module("theirs.models"), importlib.import_module("theirs.types")

    def __call__(self, where: str, *arguments: Any, **named: Any) -> tuple[int, Any]:
        """Call an operation; return the status and the answer as it was parsed."""
        operation = importlib.import_module(f"theirs.api.{where}")
        answer = operation.sync_detailed(*arguments, client=self.client, **named)
        return int(answer.status_code), answer.parsed


@pytest.mark.promise
@pytest.mark.filterwarnings("ignore")
async def test_a_generated_client_submits_looks_and_acts(served, new_token, tmp_path, monkeypatch):
    """Each answer is parsed as what the document says; no part of the document is beyond the generator."""
    said = await asyncio.to_thread(generate, served.url, tmp_path)
    assert "Unable to" not in said, said
    monkeypatch.syspath_prepend(tmp_path)
    theirs = Theirs(served.url, await new_token(*Scope, name="theirs"))
    with theirs.client:
        await asyncio.to_thread(use, theirs)


def use(call: Theirs) -> None:
    """Submit, look and act as a program does that knows the document only."""
    models = call.models
    rows = models.SubmitJobJsonBody.from_dict(ROWS)
    made, job = call("submitting.submit_job", body=rows, idempotency_key="k", name="theirs")
    again, same = call("submitting.submit_job", body=rows, idempotency_key="k", name="theirs")
    assert (made, again, job.job_id == same.job_id) == (201, 200, True)
    file = call.types.File(payload=io.BytesIO(CSV), file_name="x.csv", mime_type="text/csv")
    assert call("submitting.submit_job", body=models.SubmitJobFilesBody(file=[file]))[0] == 201
    assert type(call("submitting.submit_job", body=rows, check=True)[1]).__name__ == "PreviewResult"

    status, seen = call("jobs.get_job", job.job_id)
    assert (status, seen.state, seen.rows.total, seen.name) == (200, "running", 5, "theirs")
    assert len(call("jobs.list_jobs", limit=10)[1].data) == 2
    assert [row.completion_id for row in call("rows.list_rows", job.job_id, limit=10)[1].data] == IDS
    assert call("rows.get_history", IDS[0])[1].completion_id == IDS[0]

    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        reason = {} if verb == "resume" else {"body": models.WithReason(reason="a look at it")}
        status, acted = call(f"actions.{verb}_job", job.job_id, **reason)
        assert (status, acted.state) == (200, state)
    status, refused = call("actions.resume_job", job.job_id)
    assert (status, refused.code, refused.state) == (409, "wrong_state", "cancelled")
    assert [entry.verb for entry in call("jobs.get_job_log", job.job_id)[1].data][:2] == ["submit", "pause"]
    assert call("jobs.get_receipt", job.job_id)[1].job.state == "cancelled"

    body = models.PlanOfSelection.from_dict({"select": {"where": 'metadata.team == "t"'}, "set": {"team": "u"}})
    status, plan = call("submitting.submit_plan", body=body)
    assert (status, plan.state, plan.selection.matched) == (201, "submitting", 0)
    assert call("jobs.get_job", "none")[1].code == "no_such_job"
    assert call("rate_and_nightly_runs.get_rate")[1].configured_per_minute > 0
    assert call("health.health")[1].status in {"ok", "warn", "fail"}
    wanted = models.NewToken.from_dict({"name": "ci", "scopes": ["submit"], "owner": "eve"})
    assert call("tokens.post_token", body=wanted)[1].token.startswith("rlb_")
    assert call("tokens.delete_token", "ci")[0] == 204
