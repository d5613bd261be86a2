"""What can be done with a job over HTTP: twice the same is once, and the log names who did it."""

from __future__ import annotations

import asyncio

import pytest

from ledger.row import Outcome
from tests.cli.conftest import failure
from tests.harness.rows import PatchRows
from tests.web.conftest import in_process, settings_of

IDS = PatchRows(4).ids
FILE = "id,team\n" + "".join(f"{each},t\n" for each in IDS)
ENDED = {0: Outcome.UPDATED, 1: Outcome.UPDATED, 2: failure("timeout"), 3: failure("not_found", status=404)}


@pytest.fixture
async def open_job(make_job):
    """A job whose rows are open."""
    return (await make_job(FILE)).job_id


@pytest.fixture
async def ended_job(make_job):
    """A job of which two rows were updated, one may work later and one never will."""
    return (await make_job(FILE, ENDED, images=True)).job_id


async def act(client, job_id, action, body=None, status=200):
    """Do something with a job."""
    answer = await client.post(f"/v1/jobs/{job_id}/{action}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def verbs(ledger, job_id):
    """What the log of a job holds: who, what and why."""
    return [(line.who, line.verb, line.why) for line in await ledger.audit.read(job_id)]


async def test_each_action_may_happen_twice(client, open_job, ledger):
    """The second one changes nothing, and the log has one entry each."""
    for _ in range(2):
        job = await act(client, open_job, "pause", {"reason": "lunch"})
        assert (job["state"], job["reason_code"]) == ("paused", "paused")
    for _ in range(2):
        assert (await act(client, open_job, "resume"))["state"] == "running"
    for _ in range(2):
        job = await act(client, open_job, "cancel", {"reason": "wrong file"})
        assert (job["state"], job["rows"]["cancelled"]) == ("cancelled", 4)

    assert [entry for entry in await verbs(ledger, open_job) if entry[0] == "ada (token all)"] == [
        ("ada (token all)", "pause", "lunch"),
        ("ada (token all)", "resume", "was paused, paused: lunch (ada, token all); rows: open 4"),
        ("ada (token all)", "cancel", "wrong file"),
    ]


async def test_what_a_state_does_not_allow_is_refused_with_what_it_does(client, open_job, ended_job):
    """409 with the state and the possible actions."""
    for action in ("retry", "undo"):
        refusal = await act(client, open_job, action, status=409)
        assert (refusal["code"], refusal["state"]) == ("wrong_state", "running")
        assert refusal["actions"] == ["pause", "cancel"]
    for action in ("pause", "resume", "cancel"):
        refusal = await act(client, ended_job, action, status=409)
        assert (refusal["code"], refusal["state"], refusal["actions"]) == (
            "wrong_state",
            "finished",
            ["retry", "undo", "verify"],
        )


async def test_an_undo_is_a_job_and_the_same_one_when_asked_for_again(client, ended_job, ledger):
    """201, then 200; `again` makes another one."""
    first = await client.post(f"/v1/jobs/{ended_job}/undo", json={"keys": ["team"], "name": "take back"})
    second = await client.post(f"/v1/jobs/{ended_job}/undo", json={"keys": ["team"]})
    third = await client.post(f"/v1/jobs/{ended_job}/undo", json={"again": True, "rate": 60})

    assert [answer.status_code for answer in (first, second, third)] == [201, 200, 201]
    job = first.json()
    assert (job["kind"], job["parent"], job["name"], job["by"]) == ("undo", ended_job, "take back", "ada (token all)")
    assert first.headers["location"] == f"/v1/jobs/{job['job_id']}"
    assert second.json()["job_id"] == job["job_id"]
    assert third.json()["rate_per_minute"] == 60
    parent = (await client.get(f"/v1/jobs/{ended_job}")).json()
    assert [child["kind"] for child in parent["children"]] == ["undo", "undo"]


async def test_a_retry_takes_the_rows_that_may_work(client, ended_job):
    """Or all, or those of some codes."""
    assert (await act(client, ended_job, "retry", status=201))["rows"]["total"] == 1
    assert (await act(client, ended_job, "retry", {"all": True}, status=201))["rows"]["total"] == 2
    assert (await act(client, ended_job, "retry", {"codes": ["not_found"]}, status=201))["rows"]["total"] == 1
    refusal = await act(client, ended_job, "retry", {"codes": ["odd"]}, status=422)
    assert refusal["code"] == "invalid_input"
    assert (await act(client, ended_job, "retry", {"codes": ["a"], "all": True}, status=422))[
        "code"
    ] == "invalid_request"


async def test_a_verification_reads_the_rows_again_each_time(client, ended_job, open_job):
    """As a job of its own; of a job that runs it is refused, and so is one of a verification."""
    made = [await act(client, ended_job, "verify", {"name": "again"}, status=201) for _ in range(2)]
    assert {(job["kind"], job["parent"], job["name"]) for job in made} == {("verify", ended_job, "again")}
    assert made[0]["job_id"] != made[1]["job_id"]
    assert (await act(client, open_job, "verify", status=409))["code"] == "wrong_state"
    assert (await act(client, made[0]["job_id"], "verify", status=422))["code"] == "invalid_input"


async def test_only_a_finished_plan_is_applied(client, ended_job):
    """What would change by it is what changes (tests/faults and tests/cli have the plan's own tests)."""
    assert (await act(client, ended_job, "apply", status=422))["code"] == "invalid_input"
    files = {"file": ("x.csv", FILE.encode())}
    plan = (await client.post("/v1/plans", files=files)).json()
    refusal = await act(client, plan["job_id"], "apply", {"canary": "1%", "max_changes": 5}, status=409)
    assert (refusal["code"], refusal["state"], refusal["actions"]) == ("wrong_state", "running", ["pause", "cancel"])
    wrong = await act(client, plan["job_id"], "apply", {"canary": "much"}, status=422)
    assert wrong["code"] == "invalid_request"


async def test_two_undos_at_once_are_one(client, ended_job):
    """However they overlap."""
    made = await asyncio.gather(*(client.post(f"/v1/jobs/{ended_job}/undo") for _ in range(6)))

    assert sorted(answer.status_code for answer in made) == [200] * 5 + [201]
    assert len({answer.json()["job_id"] for answer in made}) == 1


async def test_the_shared_rate_is_set_and_reset(client, open_job, ledger):
    """As by `relabel rate`; who did it stands in the log of the jobs that it concerns."""
    changed = (await client.put("/v1/rate", json={"per_minute": 1200, "burst": 5})).json()
    assert (changed["live_per_minute"], changed["live_burst"]) == (1200, 5)
    assert ("ada (token all)", "rate", "shared rate 1,200/min, burst 5") in await verbs(ledger, open_job)
    assert (await client.get("/v1/rate")).json()["live_per_minute"] == 1200
    assert (await client.put("/v1/rate", json={"reset": True})).json()["live_per_minute"] is None


async def test_a_job_has_a_rate_of_its_own(client, open_job, ended_job):
    """Until it has ended."""
    body = {"job_id": open_job, "per_minute": 60}
    assert (await client.put("/v1/rate", json=body)).json()["rate_per_minute"] == 60
    assert (await client.get(f"/v1/jobs/{open_job}")).json()["rate_per_minute"] == 60
    body = {"job_id": open_job, "reset": True}
    assert (await client.put("/v1/rate", json=body)).json()["rate_per_minute"] is None
    late = await client.put("/v1/rate", json={"job_id": ended_job, "per_minute": 60})
    assert (late.status_code, late.json()["code"]) == (409, "wrong_state")
    unknown = await client.put("/v1/rate", json={"job_id": "none", "per_minute": 60})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_such_job")


@pytest.mark.parametrize(
    "body",
    [{}, {"per_minute": 0}, {"per_minute": -1}, {"per_minute": "fast"}, {"per_minute": 1e12}, {"burst": 0}, [],
     {"per_minute": 60, "reset": True}, {"reset": False}, {"rate": 60}, {"job_id": "x", "burst": 3}],
)  # fmt: skip
async def test_a_rate_that_is_none_is_refused(client, body):
    """422 that says why."""
    answer = await client.put("/v1/rate", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"reason": 5}', b'{"odd": 1}', b"[1]", b'{"reason": "' + b"x" * 1001 + b'"}']
)
async def test_a_body_that_cannot_be_understood_is_refused(client, open_job, body):
    """And nothing is done."""
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"/v1/jobs/{open_job}/pause", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await client.get(f"/v1/jobs/{open_job}")).json()["state"] == "running"


async def test_a_person_whom_a_proxy_names_acts_under_their_own_name(redis_url, open_job, ledger):
    """With the scopes that the settings give."""
    settings = settings_of(redis_url, trusted_proxies="10.0.0.1", user_header="X-User", proxy_scopes="control")
    async with in_process(settings, peer="10.0.0.1") as client:
        answer = await client.post(f"/v1/jobs/{open_job}/pause", headers={"X-User": "eve@example.org"})

    assert answer.status_code == 200
    assert ("eve@example.org", "pause", "") in await verbs(ledger, open_job)


async def test_hostile_text_of_a_caller_is_kept_as_one_printable_line(client, open_job, ledger):
    """A log is read in a terminal."""
    await act(client, open_job, "pause", {"reason": "a\x1b[2J\r\nb\u202ec"})

    [entry] = [why for _, verb, why in await verbs(ledger, open_job) if verb == "pause"]
    assert entry.isprintable()
