"""Deployed workers: `celery -A tasks.app worker` on a given Redis, and the verbs that talk to them."""

from __future__ import annotations

import json

import pytest
from redis import Redis

from tests.end_to_end.cli_process import CliProcess
from tests.end_to_end.conftest import StartCelery, StartServer
from tests.end_to_end.expectation import new_ids, simple_csv
from tests.harness.wait import wait_until


@pytest.fixture
def start_worker(relabel: CliProcess, redis_url: str, start_celery: StartCelery) -> StartCelery:
    """Start a worker on the Redis that the command uses, too."""
    relabel.environment |= {"RELABEL_REDIS__URL": redis_url, "RELABEL_WORKER__IN_FLIGHT": "4"}
    return start_celery


async def test_a_submitted_file_is_carried_out_by_the_workers(
    relabel: CliProcess, serve: StartServer, start_worker: StartCelery
) -> None:
    """`submit --wait` prints the job's id and ends as the job did; a held job waits for `resume`."""
    ids = new_ids(20)
    server = await serve({completion_id: {} for completion_id in ids[1:]})
    await start_worker()

    waited = await relabel("submit", relabel.file("rows.csv", simple_csv(ids)), "--wait")

    assert waited.code == 1
    job_id = waited.out.strip()
    assert (await relabel("status", job_id, "--json")).facts["rows"]["failed"] == 1
    asked = server.asked()

    held = await relabel("submit", relabel.file("more.csv", simple_csv(ids[1:], "green")), "--hold", "--json")
    assert (held.code, held.facts["state"], server.asked()) == (0, "held", asked)

    resumed = await relabel("resume", held.facts["job_id"])
    watched = await relabel("watch", held.facts["job_id"])
    assert (resumed.code, watched.code) == (0, 0)
    assert server.completions == {completion_id: {"team": "green"} for completion_id in ids[1:]}
    log = json.loads((await relabel("log", held.facts["job_id"], "--json")).out)
    assert [line["verb"] for line in log] == ["submit", "resume", "finished"]


@pytest.mark.promise
async def test_a_running_job_is_paused_resumed_and_cancelled(
    relabel: CliProcess, serve: StartServer, start_worker: StartCelery
) -> None:
    """Paused, nothing more is asked; cancelled, the counts say what was done, and the rest is in the report."""
    ids = new_ids(400)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.05)
    await start_worker()
    ping = await relabel("-A", "tasks.app", "inspect", "ping", program="celery")
    assert (ping.code, "pong" in ping.out) == (0, True)
    job_id = (await relabel("submit", relabel.file("rows.csv", simple_csv(ids)))).out.strip()
    await wait_until(lambda: server.asked("POST") > 10, within=60, what="some rows are written")

    paused = await relabel("pause", job_id, "--reason", "asking the team")
    await wait_until(lambda: not server.in_flight, within=60, what="nothing is in flight")

    assert paused.code == 0
    watched = await relabel("watch", job_id, "--json")
    facts = json.loads(watched.out.splitlines()[-1])
    assert (watched.code, facts["state"]) == (3, "paused")
    assert "asking the team" in facts["reason"]
    asked = server.asked("POST")
    assert (await relabel("resume", job_id)).code == 0
    await wait_until(lambda: server.asked("POST") > asked + 5, within=60, what="it goes on")

    cancelled = await relabel("cancel", job_id, "--reason", "wrong column")

    assert cancelled.code == 0
    facts = (await relabel("status", job_id, "--json")).facts
    assert facts["state"] == "cancelled"
    done = sum(metadata == {"team": "blue"} for metadata in server.completions.values())
    assert facts["rows"]["updated"] == done < 400
    assert facts["rows"]["cancelled"] == 400 - done
    rest = await relabel("report", job_id, "--only", "cancelled")
    assert len(rest.out.splitlines()) == 1 + 400 - done
    log = json.loads((await relabel("log", job_id, "--json")).out)
    assert [line["verb"] for line in log] == ["submit", "pause", "resume", "cancel"]


async def test_messages_that_wait_hold_a_job_and_a_number_and_nothing_of_the_file(
    relabel: CliProcess, serve: StartServer, redis_url: str
) -> None:
    """What Flower or anybody at the broker can read names no completion and no value."""
    ids = new_ids(3)
    await serve()
    relabel.environment |= {"RELABEL_REDIS__URL": redis_url, "RELABEL_JOB__SHARD_ROWS": "1"}

    ended = await relabel("submit", relabel.file("rows.csv", simple_csv(ids, "canary value")))

    with Redis.from_url(redis_url) as redis:
        messages = redis.lrange("relabel:celery:relabel", 0, -1)
    assert messages
    for message in messages:
        assert ended.out.strip().encode() in message
        assert b"canary" not in message
        assert not any(completion_id.encode() in message for completion_id in ids)


@pytest.mark.parametrize("verb", ["worker", "beat"])
async def test_celery_refuses_cleanly_without_settings(relabel: CliProcess, verb: str) -> None:
    """Exit code 2 and one sentence that names what is missing."""
    ended = await relabel("-A", "tasks.app", verb, program="celery")

    assert (ended.code, len(ended.said.splitlines())) == (2, 1)
    assert ended.err.startswith("relabel: RELABEL_REDIS__URL is not set")
