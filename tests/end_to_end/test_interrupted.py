"""A run that is interrupted or killed leaves a job that goes on where it stood."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.end_to_end.cli_process import CliProcess, Running
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.expectation import new_ids, simple_csv
from tests.end_to_end.independent_server import IndependentServer
from tests.harness.wait import wait_until

ROWS = 160
SLOWLY = {"RELABEL_WORKER__IN_FLIGHT": "4", "RELABEL_JOB__SHARD_ROWS": "40"}


async def in_mid_job(running: Running, server: IndependentServer) -> str:
    """Wait until some rows have been written, and give the job's id."""
    job_id = await running.job_id()
    await wait_until(lambda: server.asked("POST") > 30, within=60, what="30 rows are written")
    return job_id


async def status(relabel: CliProcess, job_id: str) -> dict[str, Any]:
    """How the job stands, as JSON."""
    return (await relabel("status", job_id, "--json")).facts


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.promise)])
async def test_an_interrupted_run_is_resumed_to_its_exact_end(
    relabel: CliProcess, serve: StartServer, number: signal.Signals
) -> None:
    """Exit code 130 and the way to go on; then every row is written once, not once more."""
    ids = new_ids(ROWS)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.03)
    running = await relabel.start("run", relabel.file("rows.csv", simple_csv(ids)), "--json", **SLOWLY)
    job_id = await in_mid_job(running, server)

    running.send(number)
    ended = await running.ended()

    assert ended.code == 130
    assert f"relabel run --resume {job_id}" in ended.err
    await relabel.nothing_runs()
    facts = ended.facts
    assert (facts["state"], facts["reason_code"]) == ("paused", "interrupted")
    assert facts["rows"]["updated"] == server.asked("POST") < ROWS
    assert facts["rows"]["updated"] + facts["rows"]["pending"] == ROWS

    resumed = await relabel("run", "--resume", job_id, "--json")

    assert (resumed.code, resumed.facts["rows"]["updated"]) == (0, ROWS)
    assert server.asked("POST") == ROWS
    assert server.completions == {completion_id: {"team": "blue"} for completion_id in ids}


@pytest.mark.promise
async def test_a_second_interrupt_ends_at_once_and_the_job_goes_on_later(
    relabel: CliProcess, serve: StartServer
) -> None:
    """The rows in flight would take longer than the test waits; nothing of them is lost."""
    ids = new_ids(20)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=300)
    running = await relabel.start("run", relabel.file("rows.csv", simple_csv(ids)), **SLOWLY)
    job_id = await running.job_id()
    await wait_until(lambda: server.in_flight, within=60, what="rows are in flight")

    running.send(signal.SIGINT)
    await running.says("Ctrl-C again stops at once")
    running.send(signal.SIGINT)
    ended = await running.ended()

    assert ended.code == 130
    assert f"relabel run --resume {job_id}" in ended.err
    assert "Traceback" not in ended.err
    await relabel.nothing_runs()
    server.latency_s = 0
    resumed = await relabel("run", "--resume", job_id, "--json")
    assert (resumed.code, resumed.facts["rows"]["updated"]) == (0, 20)
    assert server.completions == {completion_id: {"team": "blue"} for completion_id in ids}


@pytest.mark.promise
async def test_a_killed_run_takes_everything_with_it_and_its_job_waits_to_be_resumed(
    relabel: CliProcess, serve: StartServer
) -> None:
    """SIGKILL: no server, worker or child is left; another run does not touch the job; --resume finishes it."""
    ids = new_ids(ROWS + 10)
    first, other = ids[:ROWS], ids[ROWS:]
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.03)
    running = await relabel.start("run", relabel.file("rows.csv", simple_csv(first)), **SLOWLY)
    job_id = await in_mid_job(running, server)

    running.send(signal.SIGKILL)
    await running.ended()
    await relabel.nothing_runs()
    assert server.asked("POST") < ROWS
    asked = server.asked_for(first)

    ended = await relabel("run", relabel.file("other.csv", simple_csv(other, "green")), "--json")

    assert (ended.code, ended.facts["rows"]["updated"]) == (0, 10)
    assert server.asked_for(first) == asked
    jobs = {job["job_id"]: job for job in json.loads((await relabel("jobs", "--json")).out)}
    assert jobs[job_id]["state"] == "paused"
    assert f"relabel run --resume {job_id}" in jobs[job_id]["reason"]

    resumed = await relabel("run", "--resume", job_id, "--json")

    assert (resumed.code, resumed.facts["rows"]["updated"]) == (0, ROWS)
    wanted = {completion_id: {"team": "blue" if completion_id in first else "green"} for completion_id in ids}
    assert server.completions == wanted


async def test_a_worker_that_is_killed_is_started_again_and_the_job_ends_exactly(
    relabel: CliProcess, serve: StartServer
) -> None:
    """SIGKILL of the worker alone: its children go with it, the run goes on by itself, and every row counts once."""
    ids = new_ids(ROWS)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.03)
    running = await relabel.start("run", relabel.file("rows.csv", simple_csv(ids)), "--json", **SLOWLY)
    await in_mid_job(running, server)
    worker = relabel.worker()
    children = worker.children()

    worker.kill()
    await wait_until(lambda: not any(child.is_running() for child in children), within=30, what="the children end")
    ended = await running.ended()

    assert (ended.code, ended.facts["rows"]["updated"]) == (0, ROWS)
    assert server.completions == {completion_id: {"team": "blue"} for completion_id in ids}


@pytest.mark.promise
async def test_a_key_that_is_refused_in_mid_run_pauses_the_job_and_fails_no_row(
    relabel: CliProcess, serve: StartServer
) -> None:
    """Exit code 3, the server's words without the key, and the next step; with the key mended, all rows end well."""
    ids = new_ids(60)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.03)
    running = await relabel.start("run", relabel.file("rows.csv", simple_csv(ids)), "--json", **SLOWLY)
    await wait_until(lambda: server.asked("POST") > 10, within=60, what="some rows are written")
    message = f"Your key {server.key} was revoked."
    server.locked_out = {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}}

    ended = await running.ended()

    assert ended.code == 3
    assert "Your key [key] was revoked" in ended.err
    assert "Correct OPENAI_API_KEY" in ended.err
    assert server.key not in ended.said + relabel.worker_log
    assert (ended.facts["state"], ended.facts["reason_code"]) == ("paused", "invalid_api_key")
    assert (ended.facts["rows"]["failed"], ended.facts["rows"]["pending"] > 0) == (0, True)

    server.locked_out = None
    resumed = await relabel("run", "--resume", ended.facts["job_id"], "--json")

    assert (resumed.code, resumed.facts["rows"]["updated"]) == (0, 60)


@pytest.mark.promise
async def test_a_job_that_has_ended_is_resumed_without_harm(relabel: CliProcess, serve: StartServer) -> None:
    """It says so, asks the API for no completion, and gives the job's own exit code."""
    ids = new_ids(2)
    server = await serve({ids[0]: {}})
    first = await relabel("run", relabel.file("rows.csv", simple_csv(ids)), "--json")
    asked = server.asked()

    again = await relabel("run", "--resume", first.facts["job_id"])

    assert (first.code, again.code, server.asked()) == (1, 1, asked)
    assert "had ended already: finished" in again.err
