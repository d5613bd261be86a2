"""The console while Redis is away: a page that says so and loads again by itself, never an empty list."""

from __future__ import annotations

import asyncio

import httpx

from config.web import Scope
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.tokens import TokenRequest
from tests.console.conftest import LONGEST_S
from tests.harness.redis_server import PrivateRedis
from tests.web.conftest import end_server, start_server
from web.callers import SESSION_COOKIE


async def test_a_page_says_since_when_redis_is_away_and_comes_back(state_dir):
    """It is a 503 that the browser loads again after seconds; with Redis, the page is there again."""
    with PrivateRedis(state_dir) as redis:
        served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis.url)
        try:
            async with open_ledger(redis.url) as client:
                ledger = Ledger(client)
                request = TokenRequest(name="t", owner="ada", scopes=[Scope.READ], created_by="tests")
                token, _ = await ledger.tokens.create(request, life_s=600)
                cookies = {SESSION_COOKIE: await ledger.browser_sessions.begin(token)}
            options = {"base_url": served.url, "cookies": cookies, "timeout": LONGEST_S, "trust_env": False}
            async with httpx.AsyncClient(**options) as person:
                assert "There is no job yet" in (await person.get("/jobs")).text
                redis.kill()
                away = [await person.get(path) for path in ("/", "/jobs", "/workers", "/nightly")]
                redis.start()
                back = await person.get("/jobs")
        finally:
            await asyncio.to_thread(end_server, served)

    for page in away:
        assert (page.status_code, page.headers["refresh"]) == (503, "5")
        assert "It has been so since <time" in page.text
        assert "There is no job" not in page.text
    assert back.status_code == 200
