"""Who may call: tokens, persons that a trusted proxy names, our own names and pages; everybody else is refused."""

from __future__ import annotations

import pytest

from config.settings import Settings
from config.web import Scope
from tests.web.conftest import in_process, settings_of

PROXY = "10.1.2.3"


async def test_a_request_without_a_valid_token_is_refused(connect, new_token, ledger):
    """Whatever stands in the header; the answer says how to get in, and repeats nothing of it."""
    token = await new_token(Scope.READ)
    await ledger.tokens.revoke("t-read")
    wrong = [
        "",
        "Bearer",
        f"Bearer {token}",
        f"Basic {token}",
        "Bearer rlb_" + "A" * 43,
        "Bearer \xff\xfe",
        "Bearer " + "x" * 9000,
    ]
    async with connect() as client:
        for header in wrong:
            headers = {"Authorization": header.encode("latin-1")} if header else {}
            answer = await client.get("/v1/health", headers=headers)
            assert answer.status_code == 401, header
            assert answer.json()["code"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"
            assert token not in answer.text
        # never in a URL
        for name in ("token", "access_token", "api_key"):
            assert (await client.get("/v1/health", params={name: token})).status_code == 401


async def test_a_revoked_token_is_refused_at_once(connect, new_token, ledger):
    """Also on a connection that it opened."""
    async with connect(await new_token(Scope.READ)) as client:
        assert (await client.get("/v1/health")).status_code == 200
        await ledger.tokens.revoke("t-read")
        assert (await client.get("/v1/health")).status_code == 401


async def test_a_name_that_is_not_ours_is_refused(client):
    """DNS rebinding: the page of another site had its name lead here."""
    for host in ("evil.example", "evil.example:80", "localhost.evil.example", "[", ""):
        answer = await client.get("/v1/health", headers={"Host": host})
        assert answer.status_code in {400, 403}, host
        if answer.status_code == 403:
            assert answer.json()["code"] == "host_not_allowed"
    for host in ("localhost", "127.0.0.1:9"):
        assert (await client.get("/livez", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://relabel.test"}, True),
        ({"Origin": "http://relabel.test", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://relabel.test"}, False),
        ({"Origin": "http://relabel.test:81"}, False),
        ({"Origin": "http://evil.test"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
async def test_the_page_of_another_site_changes_nothing(redis_url, headers, allowed):
    """A browser says where a request comes from; a program sends neither header."""
    async with in_process(settings_of(redis_url, allowed_hosts="relabel.test")) as client:
        own = {"Host": "relabel.test"}
        changed = await client.post("/v1/nothing", headers=own | headers)
        read = await client.get("/livez", headers=own | headers)

    assert (changed.json()["code"] != "origin_not_allowed") is allowed
    assert read.status_code == 200


def proxied(redis_url: str, **web: str) -> Settings:
    """Settings of a server behind a proxy that names its users."""
    return settings_of(redis_url, trusted_proxies=f"{PROXY},fd00::/8", user_header="X-User", **web)


@pytest.mark.parametrize(
    ("peer", "status"),
    [(PROXY, 200), ("fd00::5", 200), (f"::ffff:{PROXY}", 200), ("10.1.2.4", 401), ("127.0.0.1", 401), ("fe80::1", 401)],
)
async def test_a_proxy_names_persons_and_nobody_else_does(redis_url, peer, status):
    """Only from its own addresses does the header count."""
    async with in_process(proxied(redis_url), peer=peer) as client:
        assert (await client.get("/v1/health", headers={"X-User": "ada@example.org"})).status_code == status


@pytest.mark.parametrize("name", ["", " ", "ada (token lead)", "a b", "\u00e9" * 200, "ada\x1b[2J"])
async def test_a_person_has_a_name_of_one_word(redis_url, name):
    """A log must not take a person for somebody's token."""
    async with in_process(proxied(redis_url), peer=PROXY) as client:
        answer = await client.get("/v1/health", headers={"X-User": name.encode()})

    assert answer.status_code == 401


@pytest.mark.parametrize("names", [("mallory", "ada"), ("ada", "ada"), ("mallory, ada",)])
async def test_a_request_with_two_names_names_nobody(redis_url, names):
    """The proxy added its own to one that the client had sent, and which is whose nobody knows."""
    async with in_process(proxied(redis_url), peer=PROXY) as client:
        answer = await client.get("/v1/health", headers=[("X-User", name) for name in names])

    assert answer.status_code == 401


async def test_without_a_user_header_a_proxy_names_nobody(redis_url):
    """Its forwarded headers count, and tokens open the door as before."""
    async with in_process(settings_of(redis_url, trusted_proxies=PROXY), peer=PROXY) as client:
        headers = {
            "X-User": "ada",
            "X-Forwarded-User": "ada",
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "https",
        }
        assert (await client.get("/v1/health", headers=headers)).status_code == 401


async def test_a_caller_who_asks_too_often_is_told_to_wait(redis_url, new_token, ledger):
    """And others are served on."""
    one, other = await new_token(Scope.READ), await new_token(Scope.CONTROL)
    async with in_process(settings_of(redis_url, requests_per_minute=30)) as client:
        codes = [
            (await client.get("/v1/health", headers={"Authorization": f"Bearer {one}"})).status_code for _ in range(8)
        ]
        late = await client.get("/v1/health", headers={"Authorization": f"Bearer {one}"})
        free = await client.get("/v1/health", headers={"Authorization": f"Bearer {other}"})

    assert codes[:5] == [200] * 5
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) >= 1
    assert free.status_code == 200


@pytest.mark.parametrize(
    "web",
    [
        {"trusted_proxies": "everybody"},
        {"trusted_proxies": "0.0.0.0/0"},
        {"user_header": "X-User"},
        {"user_header": "Host", "trusted_proxies": PROXY},
        {"user_header": "X User", "trusted_proxies": PROXY},
        {"proxy_scopes": "all"},
        {"port": 0},
    ],
)
def test_a_setting_that_would_let_everybody_in_is_refused(web):
    """A proxy is named by its address; the header counts from it alone."""
    with pytest.raises(ValueError, match="web"):
        settings_of("redis://127.0.0.1:1/0", **web)


async def test_every_answer_forbids_to_keep_or_to_embed_it(client):
    """Metadata values are customer data."""
    for path in ("/livez", "/v1/health", "/nothing", "/docs", "/openapi.json"):
        headers = (await client.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


async def test_the_page_of_the_api_loads_nothing(client):
    """No script, and nothing from another host; every endpoint is on it."""
    page = (await client.get("/docs")).text
    document = (await client.get("/openapi.json")).json()

    assert "<script" not in page
    assert "src=" not in page
    assert "http://" not in page
    assert "https://" not in page
    for path in document["paths"]:
        assert path.replace("{", "{") in page
