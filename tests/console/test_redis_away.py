"""The console while Redis is away: a page that says so and loads again by itself, never an empty list."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from config.web import Scope
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.tokens import TokenRequest
from tests.console.conftest import LONGEST_S, Browser
from tests.harness.redis_server import PrivateRedis
from tests.harness.rows import PatchRows
from tests.web.conftest import end_server, start_server
from tests.web.streams import stream
from web.callers import SESSION_COOKIE

FILE = f"id,k\n{PatchRows(1).ids[0]},v\n"
SINCE = re.compile("since <time[^>]*>")


async def test_a_page_says_since_when_redis_is_away_and_comes_back(state_dir):
    """It is a 503 that the browser loads again after seconds; streams say so, too. With Redis, all is there again."""
    with PrivateRedis(state_dir) as redis:
        served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis.url)
        try:
            async with open_ledger(redis.url) as client:
                ledger = Ledger(client)
                request = TokenRequest(name="t", owner="ada", scopes=[Scope.SUBMIT], created_by="tests")
                token, _ = await ledger.tokens.create(request, life_s=600)
                cookies = {SESSION_COOKIE: await ledger.browser_sessions.begin(token)}
            options = {"base_url": served.url, "cookies": cookies, "timeout": LONGEST_S, "trust_env": False}
            async with httpx.AsyncClient(**options) as person:
                assert "There is no job yet" in (await person.get("/jobs")).text
                bearer = {"Authorization": f"Bearer {token}"}
                made = await person.post("/v1/jobs", files={"file": ("a.csv", FILE)}, headers=bearer)
                async with stream(person, made.json()["job_id"]) as events:
                    known = await events.next()
                    redis.kill()
                    away = await events.next()
                    pages = [await person.get(path) for path in ("/", "/jobs", "/workers", "/nightly", "/nothing")]
                    signing_in = await person.get("/sign-in", headers={"Cookie": ""})
                    again = await person.get("/jobs")
                    redis.start()
                    back = await events.next()
                shown = await person.get("/jobs")
        finally:
            await asyncio.to_thread(end_server, served)

    for page in pages[:-1]:
        assert (page.status_code, page.headers["refresh"]) == (503, "5")
        assert "It has been so since <time" in page.text
        assert "There is no job" not in page.text
    assert pages[-1].status_code == 404
    assert signing_in.status_code == 200
    assert SINCE.search(again.text)[0] == SINCE.search(pages[0].text)[0]
    assert (known.kind, away.kind, back.kind) == ("state", "away", "state")
    assert back.job == known.job
    assert shown.status_code == 200


@pytest.mark.promise
async def test_the_page_that_redis_is_away_can_be_used_by_everybody(state_dir, chromium):
    """At both widths and in both colours, as every other page."""
    with PrivateRedis(state_dir) as redis:
        served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis.url)
        browser = Browser(chromium, served.url)
        try:
            async with open_ledger(redis.url) as client:
                ledger = Ledger(client)
                request = TokenRequest(name="t", owner="ada", scopes=[Scope.READ], created_by="tests")
                token, _ = await ledger.tokens.create(request, life_s=600)
                await asyncio.to_thread(browser.be, await ledger.browser_sessions.begin(token))
            redis.kill()
            await asyncio.to_thread(browser.open, "/jobs", until="It has been so since")
            faults = await asyncio.to_thread(browser.faults, "redis-away")
        finally:
            await asyncio.to_thread(chromium.get, "about:blank")
            await asyncio.to_thread(end_server, served)

    assert faults == []
