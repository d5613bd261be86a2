"""`relabel serve --run` on a laptop without Redis: a job over HTTP, from the file to its end, and nothing is left."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import httpx

from tests.end_to_end.cli_process import CliProcess
from tests.end_to_end.conftest import StartServer

IDS = [f"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxY{number:04d}" for number in range(6)]


async def test_a_job_over_http_is_carried_out_and_undone_and_ctrl_c_leaves_nothing_running(
    relabel: CliProcess, serve: StartServer
) -> None:
    """The private server and a worker come along, as with `run`; a token made beside them opens the door."""
    api = await serve({each: {"team": "old"} for each in IDS})
    server = await relabel.start("serve", "--run", "--port", "0")
    await server.says("relabel on http://")
    address = re.search(r"http://\S+", server.err)
    assert address is not None
    token = (await relabel("token", "create", "--name", "me", "--scope", "submit,control")).out.strip()
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address[0], headers=headers, timeout=60, trust_env=False) as client:
        rows = [{"id": each, "metadata": {"team": "new"}} for each in IDS]
        made = await client.post("/v1/jobs", json={"rows": rows})
        assert made.status_code == 201, made.text
        ended = await followed(client, made.json()["job_id"])
        assert (ended["state"], ended["rows"]["updated"]) == ("finished", len(IDS))
        assert api.completions == {each: {"team": "new"} for each in IDS}

        undo = await client.post(f"/v1/jobs/{ended['job_id']}/undo")
        assert (await followed(client, undo.json()["job_id"]))["rows"]["updated"] == len(IDS)
        assert api.completions[IDS[0]] == {"team": "old"}
        checks = {each["check"]: each for each in (await client.get("/v1/health")).json()["checks"]}
        assert "accepted the key of" in checks["workers-key"]["said"]
    server.send(signal.SIGINT)
    stopped = await server.ended()
    assert stopped.code == 130
    assert "Traceback" not in stopped.said


async def followed(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job at the end of its stream."""
    last: dict[str, Any] = {}
    async with client.stream("GET", f"/v1/jobs/{job_id}/events") as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                last = json.loads(line.removeprefix("data: "))
    return last
