"""A server with as many connections as it may have: those that ask for nothing make room for those that do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack

import httpx
import pytest

from config.web import Scope
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.web.conftest import LONGEST_S, end_server, start_server
from tests.web.streams import stream

MOST = 20
FILE = "id,team\n" + "".join(f"{each},t\n" for each in PatchRows(4).ids)
WAITS = {
    "silent": b"",
    "half a head": b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "no body": b"POST /v1/jobs/x/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n",
    "not a token": (
        b"POST /v1/jobs/x/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer rlb_x\r\n"
        b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    ),
    "answered": b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}
"""What clients without a token send before they wait."""


@pytest.fixture
async def narrow(redis_url, state_dir):
    """A server with room for few connections."""
    settings = {"RELABEL_REDIS__URL": redis_url, "RELABEL_WEB__CONNECTIONS": str(MOST)}
    served = await asyncio.to_thread(start_server, state_dir, **settings)
    yield served
    await asyncio.to_thread(end_server, served)


@pytest.fixture
async def narrow_client(narrow, new_token):
    """A caller of that server."""
    headers = {"Authorization": f"Bearer {await new_token(Scope.SUBMIT)}"}
    async with httpx.AsyncClient(base_url=narrow.url, headers=headers, timeout=LONGEST_S, trust_env=False) as client:
        yield client


async def test_connections_that_ask_for_nothing_keep_nobody_out(narrow, narrow_client, make_job, ledger):
    """Far more of them than there is room for; an upload and a stream that were under way before go on."""
    spec = await make_job(FILE)
    port = int(narrow.url.rpartition(":")[2])
    half_sent, room_taken = asyncio.Event(), asyncio.Event()

    async def upload():
        yield b"id,team\n"
        half_sent.set()
        await room_taken.wait()
        yield f"{PatchRows(1).ids[0]},u\n".encode()

    async with AsyncExitStack() as stack:
        events = await stack.enter_async_context(stream(narrow_client, spec.job_id))
        assert await events.next()
        headers = {"Content-Type": "text/csv"}
        uploading = asyncio.create_task(narrow_client.post("/v1/jobs?again=true", content=upload(), headers=headers))
        await half_sent.wait()
        await narrow_client.get("/v1/jobs")  # by now the first half is there, and its token was looked at
        for _ in range(MOST):
            for sent in WAITS.values():
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                writer.write(sent)
        for _ in range(3):
            assert (await _livez(port)).startswith(b"HTTP/1.1 200")
            assert (await narrow_client.get(f"/v1/jobs/{spec.job_id}")).status_code == 200
        room_taken.set()
        assert (await uploading).status_code == 201
        await ledger.jobs.pause(spec.job_id, by="ada@x", code="paused", reason="lunch")
        assert (await events.next()).job["state"] == "paused"


async def test_a_burst_of_them_keeps_nobody_out_either(narrow):
    """All at once, as a server finds them that could not work for a moment, beside those that are there already."""
    port = int(narrow.url.rpartition(":")[2])
    async with AsyncExitStack() as stack:
        for _ in range(10):
            os.kill(narrow.process.pid, signal.SIGSTOP)
            for sent in [*WAITS.values()] * 6:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                writer.write(sent)
            reader, writer = await _ask(port)
            stack.callback(writer.close)
            os.kill(narrow.process.pid, signal.SIGCONT)
            assert (await _answer(reader)).startswith(b"HTTP/1.1 200")


async def test_a_server_that_is_full_of_requests_says_so_as_it_says_everything(narrow, narrow_client, make_job):
    """As a problem with the time after which to ask again; once one of them has ended, others are let in."""
    path = f"/v1/jobs/{(await make_job(FILE)).job_id}/events"
    port = int(narrow.url.rpartition(":")[2])
    async with AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(narrow_client.stream("GET", path)) for _ in range(MOST - 1)]
        assert {answer.status_code for answer in answers} == {200}
        head, _, body = (await _livez(port)).partition(b"\r\n\r\n")
        await answers[0].aclose()
        await wait_until(lambda: _is_let_in(port), within=LONGEST_S, what="the server saw that it left")

    assert head.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 5" in head
    assert json.loads(body)["code"] == "busy"


async def _is_let_in(port):
    return (await _livez(port)).startswith(b"HTTP/1.1 200")


async def _livez(port):
    """Ask over a connection of its own, and return the answer."""
    reader, writer = await _ask(port)
    answer = await _answer(reader)
    writer.close()
    return answer


async def _ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    return reader, writer


async def _answer(reader):
    async with asyncio.timeout(LONGEST_S):
        return await reader.read()
