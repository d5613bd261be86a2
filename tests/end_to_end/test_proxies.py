"""The command and its workers behind a proxy, beside one, and with an environment that cannot be used."""

from __future__ import annotations

import ssl

import pytest
import trustme

from tests.end_to_end.cli_process import ROOT, CliProcess
from tests.end_to_end.conftest import WORKER, StartServer
from tests.end_to_end.expectation import new_ids, simple_csv
from tests.harness.forward_proxy import ForwardProxy

HOST = "api.example"
EXAMPLE = ROOT / "examples" / "relabel.csv"


async def test_a_job_goes_through_the_proxy_to_a_host_of_a_private_ca(relabel: CliProcess, serve: StartServer) -> None:
    """The command and its worker alike; the tunnel shows neither the key nor a completion."""
    ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST).configure_cert(context)
    ca.cert_pem.write_to_path(relabel.folder / "ca.pem")
    ids = new_ids(2)
    server = await serve({completion_id: {} for completion_id in ids}, tls=context)
    async with ForwardProxy(server.port) as proxy:
        settings = {
            "OPENAI_BASE_URL": f"https://{HOST}/v1",
            "HTTPS_PROXY": f"me:canary@127.0.0.1:{proxy.port}",
            "SSL_CERT_FILE": str(relabel.folder / "ca.pem"),
        }

        ended = await relabel("run", relabel.file("rows.csv", simple_csv(ids)), **settings)

    assert (ended.code, server.asked("POST")) == (0, 2)
    assert len(proxy.heads) >= 2
    assert {head.splitlines()[0] for head in proxy.heads} == {f"CONNECT {HOST}:443 HTTP/1.1"}
    assert not any(server.key in head for head in proxy.heads)
    assert "canary" not in ended.said + relabel.worker_log


@pytest.mark.promise
async def test_nothing_for_loopback_leaves_the_machine(relabel: CliProcess, serve: StartServer) -> None:
    """A base URL on loopback and a rehearsal are never proxied: the proxy could read the key and the rows."""
    ids = new_ids(2)
    server = await serve({completion_id: {} for completion_id in ids})
    async with ForwardProxy(server.port) as proxy:
        settings = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), proxy.url)
        own = await relabel("run", relabel.file("rows.csv", simple_csv(ids)), **settings)
        settings["OPENAI_BASE_URL"] = "https://api.openai.com/v1"
        rehearsed = await relabel("run", "--sandbox", "--yes", str(EXAMPLE), **settings)

    assert (own.code, server.asked("POST"), rehearsed.code) == (0, 2, 0)
    assert proxy.heads == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://me:canary@127.0.0.1:1080"),
        pytest.param("SSL_CERT_FILE", "/nowhere/ca.pem", marks=pytest.mark.promise),
    ],
)
async def test_an_environment_that_cannot_be_used_is_named_before_anything_is_stored(
    relabel: CliProcess, name: str, value: str
) -> None:
    """One sentence and exit code 2, of the command and of a worker; a rehearsal needs neither proxy nor CA."""
    settings = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": "https://api.example/v1", name: value}

    run = await relabel("run", relabel.file("rows.csv", simple_csv(new_ids(1))), **settings)
    worker = await relabel(*WORKER, program="celery", RELABEL_REDIS__URL="redis://127.0.0.1:1/0", **settings)
    health = await relabel("health", "--only", "api", **settings)
    rehearsed = await relabel("run", "--sandbox", "--yes", str(EXAMPLE), **settings)

    assert (run.code, worker.code, health.code, rehearsed.code) == (2, 2, 1, 0)
    for ended in (run, worker):
        assert ended.err.splitlines()[-1].startswith(f"relabel: {name}: ")
        assert "Traceback" not in ended.err
        assert "canary" not in ended.said
    assert name in health.out
    assert (await relabel("jobs", "--json")).out.count("job_id") == 1  # the rehearsal's
