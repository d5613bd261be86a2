"""Flower for operators: what it shows, what it hides, and whom it lets in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from tasks.flower import why_open
from tests.flower.flower_process import FlowerProcess, refusal
from tests.flower.scene import PASSWORD, USER, Scene

NOWHERE = "redis://127.0.0.1:1/0"
TABLE = "/tasks/datatable?draw=1&start=0&length=100&order[0][column]=0&columns[0][data]=name&order[0][dir]=asc"


@pytest.mark.promise
async def test_shards_are_shown_and_nothing_of_their_rows(scene: Scene) -> None:
    """Job and shard can be read; no id, value, key or password is on any page or in any answer of the API."""
    async with httpx.AsyncClient(base_url=scene.url, auth=(USER, PASSWORD), timeout=30) as client:
        tasks = await scene.tasks(client, "SUCCESS", "STARTED", least=3)
        paths = ["/", "/workers", f"/worker/{scene.worker}", "/tasks", TABLE, "/broker", "/metrics", "/healthcheck"]
        paths += ["/api/workers?refresh=true", "/api/workers", "/api/tasks", "/api/task/types", "/api/queues/length"]
        paths += [f"/{page}/{task_id}" for task_id in tasks for page in ("task", "api/task/info")]
        answers = {path: await client.get(path) for path in paths}
        shutdown = await client.post(f"/api/worker/shutdown/{scene.worker}")

    assert shutdown.status_code == 403
    await scene.cluster.finished(scene.job_id)
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code != 200} == {}
    for path, answer in answers.items():
        assert [secret for secret in scene.secrets if secret in answer.text] == [], path
    assert scene.worker in answers["/workers"].text
    assert "redis+socket://ops:**@" in answers["/api/workers"].text
    assert "redis://ops:**@" in answers["/broker"].text
    for task_id, task in tasks.items():
        job_id, shard, _ = task_id.rsplit(".", 2)
        assert (job_id, task["args"]) == (scene.job_id, f"job {scene.job_id}, shard {shard}")
        assert f"job {job_id}, shard {shard}" in answers[f"/task/{task_id}"].text
        assert f"job {job_id}, shard {shard}" in answers[TABLE].text
    assert [secret for secret in scene.secrets if secret in scene.flower.said() + scene.cluster.workers[0].said()] == []


@pytest.mark.promise
async def test_a_shard_that_failed_is_shown_as_failed(scene: Scene) -> None:
    """Where its process was killed, and where the API refuses the key; nothing of key or rows is in the reason."""
    async with httpx.AsyncClient(base_url=scene.url, auth=(USER, PASSWORD), timeout=30) as client:
        await scene.tasks(client, "STARTED", least=1)
        killed = await scene.cluster.kill_at_work(scene.cluster.workers[0], scene.job_id)
        assert killed
        lost = await scene.tasks(client, "FAILURE", least=len(killed))
        scene.cluster.sandbox.add_faults(rules=[{"fault": "unauthorized"}])
        failed = await scene.tasks(client, "FAILURE", least=len(killed) + 1)

    exceptions = {task_id: task["exception"] for task_id, task in failed.items()}
    assert [what for task_id in lost if "WorkerLostError" not in (what := exceptions[task_id])] == []
    assert {exceptions[task_id] for task_id in failed.keys() - lost.keys()} == {"ShardFailed('invalid_api_key')"}
    assert [secret for secret in scene.secrets if secret in str(failed)] == []


async def test_only_who_has_the_password_gets_in_and_only_to_look(tmp_path: Path) -> None:
    """401 without it, but for what /metrics and /healthcheck tell; 403 for whoever wants to change things."""
    flower = FlowerProcess(tmp_path, RELABEL_REDIS__URL=NOWHERE, RELABEL_FLOWER__BASIC_AUTH=f"{USER}:{PASSWORD}")
    try:
        async with httpx.AsyncClient(base_url=await flower.url(), timeout=30) as client:
            for path in ("/", "/tasks", TABLE, "/broker", "/api/workers", "/api/tasks", "/worker/any"):
                assert (await client.get(path)).status_code == 401, path
                assert (await client.get(path, auth=(USER, "other"))).status_code == 401, path
            for path in ("/metrics", "/healthcheck"):
                assert (await client.get(path)).status_code == 200
            client.auth = httpx.BasicAuth(USER, PASSWORD)
            assert (await client.get("/tasks")).status_code == 200
            for change in ("worker/shutdown/any", "worker/pool/shrink/any", "task/revoke/any", "task/async-apply/any"):
                assert (await client.post(f"/api/{change}")).status_code == 403, change
    finally:
        flower.end()

    assert "not at /metrics and /healthcheck" in flower.said()


async def test_without_a_password_it_is_there_for_this_machine_alone(tmp_path: Path) -> None:
    """On loopback people may look; the API stays shut, and so is all where a page's own name leads here."""
    flower = FlowerProcess(tmp_path, RELABEL_REDIS__URL=NOWHERE, RELABEL_FLOWER__ALLOWED_HOSTS="board.example")
    try:
        url = await flower.url()
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            assert (await client.get("/workers")).status_code == 200
            assert (await client.get("/api/workers")).status_code == 401
            for path in ("/workers", "/metrics", "/healthcheck", "/static/css/flower.css"):
                assert (await client.get(path, headers={"Host": "rebound.example"})).status_code == 403, path
            assert (await client.get("/workers", headers={"Host": "board.example:5555"})).status_code == 200
    finally:
        flower.end()

    assert url.startswith("http://127.0.0.1:")


async def test_it_refuses_to_stand_open_however_it_is_asked(tmp_path: Path) -> None:
    """By our setting, by Flower's own variable, option or file: exit code 2 and one sentence."""
    (tmp_path / "open.py").write_text("address = '0.0.0.0'\n")
    asked: list[tuple[list[str], dict[str, str]]] = [
        ([], {"RELABEL_FLOWER__ADDRESS": "0.0.0.0"}),
        ([], {"FLOWER_ADDRESS": "0.0.0.0"}),
        (["--address=10.0.0.1", "--auth=.*@example[.]com"], {}),
        ([f"--conf={tmp_path}/open.py"], {}),
    ]
    folders = [tmp_path / str(number) for number, _ in enumerate(asked)]
    for folder in folders:
        folder.mkdir()

    refused = await asyncio.gather(
        *(
            refusal(folder, options, RELABEL_REDIS__URL=NOWHERE, **settings)
            for folder, (options, settings) in zip(folders, asked, strict=True)
        )
    )

    for (code, said), how in zip(refused, asked, strict=True):
        assert (code, len(said.splitlines())) == (2, 1), (how, said)
        assert said.startswith("relabel: Flower would be open to everybody on ")
        assert "RELABEL_FLOWER__BASIC_AUTH" in said


@pytest.mark.parametrize(
    ("address", "basic_auth", "unix_socket", "api", "sentence"),
    [
        ("127.0.0.1", [], "", "", ""),
        ("localhost", [], "", "false", ""),
        ("::1", [], "", "0", ""),
        ("", [], "/run/flower.sock", "", ""),
        ("0.0.0.0", ["ops:word"], "", "true", ""),
        ("0.0.0.0", [], "", "", "would be open to everybody on 0.0.0.0"),
        ("", [], "", "", "would be open to everybody on every address"),
        ("::", [], "", "", "would be open to everybody on ::"),
        ("127.0.0.1.example.com", [], "", "", "would be open to everybody on 127.0.0.1.example.com"),
        ("127.0.0.1", [], "", "true", "FLOWER_UNAUTHENTICATED_API would"),
        ("127.0.0.1", [], "/run/flower.sock", "Yes", "FLOWER_UNAUTHENTICATED_API would"),
        ("0.0.0.0", ["ops:"], "", "", "must be user:password"),
        ("0.0.0.0", [":word"], "", "", "must be user:password"),
        ("0.0.0.0", ["ops:word", "open"], "", "", "must be user:password"),
        ("0.0.0.0", [""], "", "", "must be user:password"),
        ("0.0.0.0", ["ops:wörd"], "", "", "must be user:password"),
    ],
)
def test_what_leaves_it_open(
    monkeypatch: pytest.MonkeyPatch, address: str, basic_auth: list[str], unix_socket: str, api: str, sentence: str
) -> None:
    """Whatever its options come from: another address without a password, half a password, an API for everybody."""
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", api)

    said = why_open(SimpleNamespace(address=address, basic_auth=basic_auth, unix_socket=unix_socket))

    assert sentence in said
    assert bool(said) == bool(sentence)


async def test_an_address_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    """With a password any address will do, where this machine has it (192.0.2.1 is nobody's: RFC 5737)."""
    code, said = await refusal(
        tmp_path, ["--address=192.0.2.1"], RELABEL_REDIS__URL=NOWHERE, RELABEL_FLOWER__BASIC_AUTH="ops:word"
    )

    assert (code, len(said.splitlines())) == (2, 1)
    assert said.startswith("relabel: Flower cannot listen on 192.0.2.1:0 (")
