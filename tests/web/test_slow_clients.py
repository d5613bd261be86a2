"""Slow clients: none of them holds the server, whether it sends too slowly or does not take what it asked for."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from config.web import Scope, WebSettings
from ledger.row import Outcome
from metrics.requests import RequestMetrics
from tests.harness.rows import PatchRows
from tests.web.conftest import LONGEST_S, settings_of, started
from web.app import make_app
from web.bodies import BoundedBodies
from web.callers import WATCH_EVERY_S, AccessEnded, Callers, Watch
from web.peers import SEND_WITHIN_S, Answers

SOON_S = 0.05
"""Time that a client has here for what takes seconds in the product."""
HTTP = {"type": "http", "method": "POST", "path": "/v1/jobs", "headers": [], "client": ("127.0.0.1", 1)}
IDS = PatchRows(1500).ids
LARGE = {f"note{number}": "n" * 500 for number in range(14)}
"""What makes a report of 10 MB of so many rows: the kernel takes up to 4 MB of it for a client that reads nothing."""


class Endpoint:
    """Reads a body to its end, then answers in so many parts; `ended` tells how it ended."""

    def __init__(self, parts=1):
        self.parts, self.ended = parts, ""

    async def __call__(self, scope, receive, send):  # noqa: ARG002 - the signature is that of ASGI
        try:
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for left in reversed(range(self.parts)):
                await send({"type": "http.response.body", "body": b"x", "more_body": bool(left)})
            self.ended = "answered"
        except BaseException as error:
            self.ended = type(error).__name__
            raise


def body_of(*parts, then_waits):
    """What a client sends: these parts, and then nothing more."""
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive():
        if left:
            return left.pop(0)
        if then_waits:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def test_a_body_that_stops_coming_is_given_up():
    """Whoever waits for it is told, and lets go of what it holds for the request."""
    endpoint = Endpoint()
    app = BoundedBodies(endpoint, WebSettings(), part_s=SOON_S)

    with pytest.raises(Exception, match="too slowly") as found:
        await app(dict(HTTP), body_of(b"id,", b"team", then_waits=True), None)

    assert (found.value.code, found.value.status_code, endpoint.ended) == ("too_slow", 408, "Refusal")


async def test_a_body_that_comes_drop_by_drop_has_an_end():
    """Each part is soon enough, and all of them together are not."""
    app = BoundedBodies(Endpoint(), WebSettings(upload_minutes=SOON_S / 60), part_s=LONGEST_S)

    async def drops():
        await asyncio.sleep(SOON_S / 10)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(Exception, match="too slowly"):
        await app(dict(HTTP), drops, None)


async def test_an_answer_that_is_not_taken_is_broken_off():
    """After the part that the client left; the endpoint lets go."""
    endpoint, taken = Endpoint(parts=5), []

    async def send(message):
        taken.append(message["type"])
        if len(taken) == 3:
            await asyncio.Event().wait()

    await Answers(endpoint, send_s=SOON_S)(dict(HTTP), body_of(then_waits=False), send)

    assert (len(taken), endpoint.ended) == (3, "ClientTooSlow")


async def test_a_stream_of_events_that_is_not_read_is_broken_off(ledger, redis_url, new_token, make_job):
    """The job goes on, so that nothing else would ever end the stream, and the client keeps its connection open."""
    job_id = (await make_job(f"id,team\n{IDS[0]},a\n")).job_id
    authorization = f"Bearer {await new_token(Scope.READ)}".encode()
    head = [(b"host", b"127.0.0.1"), (b"authorization", authorization)]
    path = f"/v1/jobs/{job_id}/events"
    asked = HTTP | {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": head}
    asked |= {"asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80)}
    taken = []

    async def send(message):
        taken.append(message["type"])
        if len(taken) == 2:
            await asyncio.Event().wait()

    receives = body_of(b"", then_waits=True)
    app = make_app(settings_of(redis_url), stopping=asyncio.Event())
    async with started(app), asyncio.timeout(LONGEST_S):
        await Answers(app, send_s=SOON_S)(asked, receives, send)

    assert taken == ["http.response.start", "http.response.body"]
    assert await ledger.jobs.active() == [job_id]


async def test_what_is_sent_is_broken_off_where_the_token_is_revoked(ledger, redis_url, new_token):
    """However much of it is left: pieces come for as long as they are taken."""
    callers = Callers(settings_of(redis_url), ledger, RequestMetrics())
    caller = await callers.by_token(await new_token(Scope.READ))
    taken = 0

    async def report():
        while True:
            await asyncio.sleep(SOON_S)
            yield b"a row\n"

    async def take():
        nonlocal taken
        async for _ in Watch(callers, caller, every_s=SOON_S).pieces(report()):
            taken += 1
            if taken == 3:
                await ledger.tokens.revoke("t-read")

    with pytest.raises(AccessEnded):
        await asyncio.wait_for(take(), LONGEST_S)

    assert taken >= 3


async def open_and_ask(served, path, token):
    """Ask, and read nothing of the answer; the smallest window there is."""
    host, port = served.url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (host, int(port)))
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    await loop.sock_sendall(client, request.encode())
    return client


@pytest.mark.promise
async def test_clients_that_never_read_are_left(served, new_token, make_job, connect):
    """A report of megabytes and a stream of events: others are answered meanwhile, and in the end they are cut off."""
    rows = "".join(json.dumps({"id": each, "metadata": LARGE}) + "\n" for each in IDS)
    ends = dict.fromkeys(range(len(IDS)), Outcome.UPDATED)
    job_id = (await make_job(rows, ends, name="big.jsonl", shard_rows=500)).job_id
    open_id = (await make_job(f"id,team\n{IDS[0]},a\n")).job_id
    token = await new_token(Scope.READ)
    clients = [await open_and_ask(served, f"/v1/jobs/{job_id}/report", token) for _ in range(20)]
    watches = await open_and_ask(served, f"/v1/jobs/{open_id}/events", token)  # small enough to be kept for it
    try:
        async with connect(token) as client:
            assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 200
        await asyncio.sleep(SEND_WITHIN_S + 5)
        for each in clients:
            assert await _is_cut_off(each)
        async with connect(token) as client:
            assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 200
    finally:
        for each in (*clients, watches):
            each.close()
    assert "Traceback" not in served.log.read_text()


@pytest.mark.promise
async def test_a_report_is_broken_off_where_its_token_is_revoked(served, new_token, make_job, ledger):
    """A client that takes it bit by bit gets no whole one."""
    rows = "".join(json.dumps({"id": each, "metadata": LARGE}) + "\n" for each in IDS)
    ends = dict.fromkeys(range(len(IDS)), Outcome.UPDATED)
    job_id = (await make_job(rows, ends, name="big.jsonl", shard_rows=500)).job_id
    client = await open_and_ask(served, f"/v1/jobs/{job_id}/report", await new_token(Scope.READ))
    loop = asyncio.get_running_loop()
    assert await loop.sock_recv(client, 1024)
    await ledger.tokens.revoke("t-read")
    await asyncio.sleep(WATCH_EVERY_S + 1)

    assert await _is_cut_off(client)
    client.close()


async def _is_cut_off(client):
    """Read what had been sent: an answer that is not whole, and then the end of the connection."""
    loop, found = asyncio.get_running_loop(), b""
    async with asyncio.timeout(LONGEST_S):
        try:
            while part := await loop.sock_recv(client, 65536):
                found += part
        except ConnectionResetError:
            return True
    return not found.endswith(b"0\r\n\r\n")
