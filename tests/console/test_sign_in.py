"""Who is let in to the console, for how long, and what no page of somebody else can do with their session."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager

import httpx
import pytest

from config.web import Scope
from ledger.browser_sessions import LIFE_S
from tests.console.conftest import LONGEST_S
from tests.harness.wait import wait_until
from tests.web.conftest import end_server, in_process, settings_of, start_server
from web.callers import SESSION_COOKIE, TLS_SESSION_COOKIE
from web.console.sign_in import OneTimeLink

LINK = re.compile(r"http://\S+/sign-in/link\?key=\S+")


@pytest.fixture
def person(served):
    """A browser without scripts, with cookies of its own."""

    @asynccontextmanager
    async def open_person():
        options = {"base_url": served.url, "timeout": LONGEST_S, "trust_env": False, "verify": False}
        options["follow_redirects"] = True
        async with httpx.AsyncClient(**options) as client:
            client.headers["Origin"] = served.url
            yield client

    return open_person


async def sign_in(client, token, path="/jobs"):
    """Send the form of the sign-in page."""
    return await client.post("/sign-in", data={"token": token, "next": path})


def form_check(page):
    """What the forms of a page carry."""
    return re.search(r'name="check" value="([0-9a-f]+)"', page.text)[1]


async def test_nobody_sees_a_page_before_signing_in(person, new_token):
    """They are asked for a token, and then get to the page that they asked for."""
    async with person() as client:
        asked = await client.get("/jobs?state=paused")
        signed_in = await sign_in(client, await new_token("read"), path="/jobs?state=paused")

    assert asked.url.path == "/sign-in"
    assert 'value="/jobs?state=paused"' in asked.text
    assert (signed_in.status_code, str(signed_in.url.query, "ascii")) == (200, "state=paused")
    assert "ada (token t-read)" in signed_in.text


async def test_a_session_is_a_cookie_that_no_script_and_no_other_site_gets(person, new_token, ledger, redis_url):
    """It lives for 12 hours; over TLS it is sent over TLS only, and Redis holds neither it nor the token."""
    token = await new_token("read")
    async with person() as client:
        answer = await client.post("/sign-in", data={"token": token}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    async with in_process(settings_of(redis_url, trusted_proxies="127.0.0.1")) as proxied:
        headers = {"X-Forwarded-Proto": "https", "Origin": "https://127.0.0.1"}
        over_tls = await proxied.post("/sign-in", data={"token": token}, headers=headers)
        page = await proxied.get("/jobs", headers=headers | {"Cookie": over_tls.headers["set-cookie"].split(";")[0]})
        as_others_may_set_it = {"Cookie": f"{SESSION_COOKIE}={over_tls.cookies[TLS_SESSION_COOKIE]}"}
        unsafe = await proxied.get("/jobs", headers=headers | as_others_may_set_it)

    assert f"Max-Age={LIFE_S}" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert over_tls.headers["set-cookie"].startswith(f"__Host-{SESSION_COOKIE}=")
    assert {"Secure", "Path=/"} <= set(over_tls.headers["set-cookie"].split("; "))
    assert "Domain" not in over_tls.headers["set-cookie"]
    assert (page.status_code, unsafe.status_code) == (200, 303)
    secret = answer.cookies[SESSION_COOKIE]
    keys = await ledger.redis.keys("relabel:session:*")
    assert len(keys) == 2
    for key in keys:
        kept = key + await ledger.redis.get(key)
        assert secret.encode() not in kept
        assert token.encode() not in kept
        assert 0 < await ledger.redis.ttl(key) <= LIFE_S


@pytest.mark.parametrize("how", ["signing out", "revoking"])
async def test_a_session_ends_at_once(person, new_token, ledger, how):
    """By signing out, and where its token is revoked; the API does not know it any more either."""
    async with person() as client:
        page = await sign_in(client, await new_token("read"))
        cookie = client.cookies[SESSION_COOKIE]
        before = await client.get("/v1/jobs")
        if how == "signing out":
            await client.post("/sign-out", data={"check": form_check(page)})
            client.cookies.set(SESSION_COOKIE, cookie, domain=client.base_url.host)
        else:
            await ledger.tokens.revoke("t-read")
        after = await client.get("/jobs")
        api = await client.get("/v1/jobs")

    assert before.status_code == 200
    assert after.url.path == "/sign-in"
    assert api.status_code == 401


async def test_a_wrong_token_signs_nobody_in(person):
    """Nor does a token in the URL of a page."""
    async with person() as client:
        wrong = await sign_in(client, "rlb_" + "x" * 43)

    assert wrong.status_code == 403
    assert "not valid" in wrong.text
    assert SESSION_COOKIE not in wrong.cookies


async def test_whoever_signs_in_again_and_again_is_told_to_wait(redis_url, new_token, ledger):
    """Each time leaves a session in Redis for 12 hours, also for somebody who may only read."""
    form = {"token": await new_token("read")}
    async with in_process(settings_of(redis_url, requests_per_minute=1_000_000)) as client:
        answers = [await client.post("/sign-in", data=form) for _ in range(60)]

    codes = [answer.status_code for answer in answers]
    assert codes[:40] == [303] * 40
    assert codes[-1] == 429
    assert len(await ledger.redis.keys("relabel:session:*")) == codes.count(303)


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "/\nx", "jobs"])
async def test_signing_in_leads_to_a_page_of_ours_only(person, new_token, path):
    """Wherever a link said that it should."""
    async with person() as client:
        answer = await client.post(
            "/sign-in", data={"token": await new_token("read"), "next": path}, follow_redirects=False
        )

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_form_of_another_page_does_nothing(person, new_token):
    """Without what our forms carry, without an `Origin`, or with that of another site."""
    async with person() as client:
        page = await sign_in(client, await new_token("read"))
        check = form_check(page)
        without = await client.post("/sign-out", data={})
        other = await client.post("/sign-out", data={"check": check}, headers={"Origin": "https://evil.example"})
        del client.headers["Origin"]
        unsaid = await client.post("/sign-out", data={"check": check})
        still = await client.get("/jobs")

    assert [answer.status_code for answer in (without, other, unsaid)] == [403, 403, 403]
    assert still.url.path == "/jobs"


async def test_a_session_changes_nothing_over_the_api(person, new_token, make_job):
    """There a token is needed: the API has no forms that could be told from those of another site."""
    job = await make_job("id,team\nchatcmpl-1,a\n")
    async with person() as client:
        await sign_in(client, await new_token("control"))
        answer = await client.post(f"/v1/jobs/{job.job_id}/pause")

    assert answer.status_code == 401


async def test_a_link_of_another_site_leads_to_the_page(person, new_token):
    """A browser keeps its cookie from it, so that the page is asked for once more from a page of ours."""
    async with person() as client:
        answer = await client.get("/jobs/x", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text


async def test_pages_run_nothing_from_elsewhere_and_nothing_inline(person, new_token):
    """By their policy; and they hold no script or style of their own."""
    async with person() as client:
        page = await sign_in(client, await new_token("read"))

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/static/)", page.text)


async def test_the_link_that_serve_prints_signs_in_once(redis_url, state_dir, ledger):
    """Whoever started the server may do everything but approve, as nobody vouches for their name; it can be revoked."""
    served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis_url)
    try:
        link = await wait_until(lambda: LINK.search(served.log.read_text()), within=LONGEST_S, what="the link is there")
        async with httpx.AsyncClient(trust_env=False, timeout=LONGEST_S, follow_redirects=True) as client:
            signed_in = await client.get(link[0])
        async with httpx.AsyncClient(trust_env=False, timeout=LONGEST_S, follow_redirects=True) as other:
            again = await other.get(link[0])
    finally:
        await asyncio.to_thread(end_server, served)

    (known,) = await ledger.tokens.all()
    assert (signed_in.status_code, signed_in.url.path) == (200, "/")
    assert set(known.token.scopes) == set(Scope) - {Scope.APPROVE}
    assert known.token.acts_as in signed_in.text
    assert again.status_code == 403
    assert "was used before" in again.text


def test_a_one_time_link_is_used_up_and_expires():
    """It fits once; a wrong key leaves it as it is."""
    link, late = OneTimeLink(), OneTimeLink(life_s=0.0)
    key, late_key = (each.path.partition("key=")[2] for each in (link, late))

    assert [link.use(""), link.use(key[:-1]), link.use(key), link.use(key)] == [False, False, True, False]
    assert not late.use(late_key)
