"""The way to the API: through a real forward proxy or not, with real certificates, and never with somebody's netrc."""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from completions.client import CompletionsApi, open_api
from completions.errors import Retryable, StopJob
from completions.target import Target
from config.groups import NotifySettings
from config.proxy import proxy_for
from notify.webhook import open_webhook
from tests.harness.forward_proxy import ForwardProxy

HOST = "api.example"
AUTHORITY = trustme.CA()


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch, tmp_path):
    """The tests' CA is trusted; no proxy but what the test names."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def certified(*names: str) -> ssl.SSLContext:
    """A server's context with a certificate of the tests' CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return context


@contextlib.asynccontextmanager
async def an_api(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[dict[str, str]]]]:
    """An API that shows the same metadata for each id; gives its port and the headers that came."""
    came: list[dict[str, str]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        came.append(dict(request.headers))
        return web.json_response({"id": request.path.rpartition("/")[2], "metadata": {"a": "1"}})

    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1], came
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def calling(base_url: str, key: str) -> AsyncIterator[CompletionsApi]:
    """A client that goes the way that the environment names."""
    async with open_api(Target(base_url, key, proxy=proxy_for(base_url)), in_flight=4) as api:
        yield api


async def test_https_goes_through_a_tunnel_and_the_key_stays_inside(key, monkeypatch):
    """The proxy sees the host and its own credentials; it sees neither the key nor the path."""
    async with an_api(certified(HOST)) as (port, came), ForwardProxy(port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:s%2Fcret@"))
        async with calling(f"https://{HOST}/v1", key) as api:
            reply = await api.read("x", request_name="1")

    assert reply.metadata == {"a": "1"}
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:443 ")
    assert f"Basic {base64.b64encode(b'me:s/cret').decode()}" in head
    assert key not in head
    assert (came[0]["Authorization"], came[0].get("Proxy-Authorization")) == (f"Bearer {key}", None)


async def test_a_proxy_may_be_reached_over_tls_itself(key, monkeypatch):
    """An https:// proxy: TLS to it, and within that TLS to the API."""
    async with an_api(certified(HOST)) as (port, _), ForwardProxy(port, tls=certified("127.0.0.1")) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with calling(f"https://{HOST}/v1", key) as api:
            assert (await api.read("x", request_name="1")).metadata == {"a": "1"}

    assert len(proxy.heads) == 1


async def test_http_goes_to_the_proxy_with_its_whole_url(key, monkeypatch):
    """The path stays as it was encoded."""
    async with an_api() as (port, _), ForwardProxy(port) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with calling(f"http://{HOST}/v1", key) as api:
            await api.ping(request_name="1")
            with pytest.raises(Retryable):  # another id than was asked for: the answer decodes the path
                await api.read("a/b", request_name="2")

    assert proxy.heads[0].startswith(f"GET http://{HOST}/v1/chat/completions?limit=1 HTTP/1.1")


async def test_loopback_is_called_directly_whatever_the_environment_names(key, monkeypatch):
    """`HTTP_PROXY` carried key and metadata of a loopback base URL to another machine in clear."""
    async with an_api() as (port, came), ForwardProxy(port) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with calling(f"http://127.0.0.1:{port}/v1", key) as api:
            await api.read("x", request_name="1")

    assert (len(came), proxy.heads) == (1, [])


async def test_a_netrc_is_never_read(key, monkeypatch, tmp_path):
    """With any variable of a proxy, its login was sent to the API in place of the key, or every call failed."""
    (tmp_path / ".netrc").write_text("default login canary-login password canary-password\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with an_api() as (port, came), ForwardProxy(port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        for host in (HOST, f"127.0.0.1:{port}"):
            async with calling(f"http://{host}/v1", key) as api:
                await api.read("x", request_name="1")
        settings = NotifySettings(url=f"http://127.0.0.1:{port}/hook", allow_private=True)
        async with open_webhook(settings) as webhook:
            await webhook.send("d", b"{}")

    assert [each.get("Authorization") for each in came] == [f"Bearer {key}", f"Bearer {key}", None]
    assert len(proxy.heads) == 1


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden"])
async def test_a_proxy_that_refuses_the_tunnel_stops_the_job(key, monkeypatch, status):
    """No row can mend it, and waiting does not either; the credentials are in no message."""
    async with ForwardProxy(1, answer=status) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//me:canary@"))
        async with calling(f"https://{HOST}/v1", key) as api:
            with pytest.raises(StopJob) as caught:
                await api.update("x", {}, request_name="1")

    assert caught.value.code == "proxy"
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_proxy_that_is_not_there_is_tried_again_and_not_quoted(key, monkeypatch):
    """A network failure before anything was sent."""
    monkeypatch.setenv("https_proxy", "http://me:canary@127.0.0.1:1")
    async with calling(f"https://{HOST}/v1", key) as api:
        with pytest.raises(Retryable) as caught:
            await api.update("x", {}, request_name="1")

    assert not caught.value.ambiguous
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_the_ca_that_is_named_is_trusted_and_another_is_not(key, monkeypatch, tmp_path):
    """Real certificates of two CAs."""
    async with an_api(certified("127.0.0.1")) as (port, came):
        async with calling(f"https://127.0.0.1:{port}/v1", key) as api:
            await api.read("x", request_name="1")
        trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
        async with calling(f"https://127.0.0.1:{port}/v1", key) as api:
            with pytest.raises(StopJob) as caught:
                await api.read("x", request_name="1")

    assert (len(came), caught.value.code) == (1, "tls")
