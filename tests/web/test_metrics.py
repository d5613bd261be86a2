"""What a server counts: requests by the templates of their routes, open streams, sign-ins that were refused."""

from __future__ import annotations

import asyncio
import socket

import pytest
from prometheus_client import generate_latest

from config.web import Scope
from metrics.requests import RequestMetrics
from tests.harness.command import run_process
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.metrics.scrape import Scrape, scrape
from tests.web.conftest import clean_environment, in_process, settings_of
from tests.web.streams import stream


@pytest.fixture
async def counted(redis_url):
    """A server in this process: a client, and what it has counted."""
    metrics = RequestMetrics()
    async with in_process(settings_of(redis_url), metrics=metrics) as client:
        yield client, lambda: Scrape(generate_latest(metrics.registry).decode())


async def test_requests_are_counted_by_templates_and_classes(counted, new_token):
    """No label holds what a client sent: path, id, method; whatever came to an answer is counted once."""
    client, counts = counted
    headers = {"Authorization": f"Bearer {await new_token(Scope.READ)}"}
    for path in (
        "/v1/jobs/20261127-172335-90e7a1b2",
        "/v1/jobs/secret-of-a-customer",
        "/v1/completions/chatcmpl-1/history",
    ):
        await client.get(path, headers=headers)
    await client.get("/v1/jobs")
    await client.get("/livez", headers={"Host": "evil.example"})
    await client.get("/no-such-page-as-this")
    await client.request("BREW", "/livez")
    seen = counts()

    def number(method, route, status):
        return seen.value("relabel_web_requests_total", method=method, route=route, status=status)

    assert number("GET", "/v1/jobs/{job_id}", "4xx") == 2
    assert number("GET", "/v1/completions/{completion_id}/history", "2xx") == 1
    assert number("GET", "/v1/jobs", "4xx") == 1
    assert number("GET", "other", "4xx") == 2  # the wrong name, and the page that is none
    assert seen.total("relabel_web_requests_total") == 7
    assert seen.total("relabel_web_request_duration_seconds_count") == 7
    for word in ("secret", "chatcmpl", "20261127", "evil", "BREW", "no-such"):
        assert word not in seen.text


async def test_sign_ins_that_are_refused_are_counted(counted):
    """By how they came; a request without a token is no attempt."""
    client, counts = counted
    assert counts().total("relabel_web_sign_ins_rejected_total") == 0
    await client.get("/v1/jobs")
    await client.get("/v1/jobs", headers={"Authorization": "Bearer rlb_wrong"})
    await client.post("/sign-in", data={"token": "rlb_wrong"}, headers={"Origin": "http://127.0.0.1"})
    await client.get("/sign-in/link?key=wrong")
    seen = counts()

    assert {way: seen.value("relabel_web_sign_ins_rejected_total", by=way) for way in ("token", "form", "link")} == {
        "token": 1,
        "form": 1,
        "link": 1,
    }


async def test_a_server_answers_scrapes_at_a_port_of_their_own(served, client, make_job):
    """With the streams that are open just now, and what the process takes; not at the port that others reach."""
    spec = await make_job("id,team\n" + "".join(f"{each},t\n" for each in PatchRows(4).ids))
    async with stream(client, spec.job_id) as events:
        assert await events.next()
        seen = await asyncio.to_thread(scrape, served.web_port)
        assert seen.value("relabel_web_streams") == 1
        assert seen.value("process_resident_memory_bytes") > 1 << 20
    assert (await client.get("/metrics")).status_code == 404

    async def is_closed() -> bool:
        return (await asyncio.to_thread(scrape, served.web_port)).value("relabel_web_streams") == 0

    await wait_until(is_closed, within=20, what="the stream is counted no more")


async def test_a_port_for_scrapes_that_is_taken_is_a_sentence(redis_url, state_dir):
    """Exit code 2, with the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"RELABEL_REDIS__URL": redis_url, "RELABEL_METRICS__WEB_PORT": str(taken.getsockname()[1])}
        ended = await run_process("serve", "--port", "0", environment=clean_environment(**settings), folder=state_dir)

    assert ended.code == 2
    assert "RELABEL_METRICS__WEB_PORT" in ended.err
    assert "Traceback" not in ended.err
