"""`relabel serve` as a process: where it starts, how it ends, and what it says."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import ssl
import subprocess
import sys

import httpx
import pytest
import trustme
from ruamel.yaml import YAML

from config.errors import SettingsError
from config.web import Scope, WebSettings
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.tokens import TokenRequest
from tests.harness.certificates import new_certificate
from tests.harness.command import ROOT, run_process
from tests.harness.free_port import free_port
from tests.harness.redis_server import PrivateRedis
from tests.harness.wait import wait_until
from tests.web.conftest import LONGEST_S, Served, clean_environment, end_server, start_server
from web.connections import HEADERS_WITHIN_S
from web.server import allow_descriptors, require_safe_address


def test_it_may_open_as_many_files_as_it_takes_connections_and_uploads():
    """The bound that a shell sets is often 1,024, below what the settings let in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        allow_descriptors(2048)
        allowed, allowed_hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        allow_descriptors(100)
        lower, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert (allowed, allowed_hard, lower) == (2048, hard, 2048)


async def test_it_ends_with_0_on_sigterm(redis_url, state_dir):
    """As a service does; and with 130 on Ctrl-C."""
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis_url)
        served.process.send_signal(number)
        await wait_until(lambda served=served: served.process.poll() is not None, within=30, what="it ended")
        assert served.process.poll() == code, served.log.read_text()
        assert "Traceback" not in served.log.read_text()
        served.log.unlink()


async def test_an_address_in_use_is_a_sentence_and_exit_code_2(redis_url, state_dir):
    """It names how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = clean_environment(RELABEL_REDIS__URL=redis_url)
        ended = await run_process("serve", "--port", port, environment=environment, folder=state_dir)

    assert ended.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.err
    assert "--port" in ended.err


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "relabel.example"])
def test_an_address_that_others_reach_needs_tls(address, tmp_path):
    """Tokens would cross the network in clear text; the refusal names what to set."""
    with pytest.raises(SettingsError, match=r"RELABEL_WEB__CERT_FILE.*RELABEL_WEB__TRUSTED_PROXIES"):
        require_safe_address(WebSettings(), address)

    file = tmp_path / "x.pem"
    file.touch()
    require_safe_address(WebSettings(cert_file=file, key_file=file), address)
    require_safe_address(WebSettings(trusted_proxies="192.0.2.1"), address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_loopback_needs_nothing(address):
    """Nobody else is there."""
    require_safe_address(WebSettings(), address)


async def test_without_redis_it_says_how_to_bring_one(state_dir):
    """Deployed workers share a Redis."""
    ended = await run_process("serve", environment=clean_environment(), folder=state_dir)

    assert ended.code == 2
    assert "relabel serve --run" in ended.err


async def test_it_speaks_tls_with_a_certificate(redis_url, state_dir):
    """Whoever knows the CA reaches it; a key of another certificate is a sentence."""
    ours, other = (new_certificate(state_dir, name, by=trustme.CA()) for name in ("ours", "other"))
    files = {"RELABEL_WEB__CERT_FILE": str(ours.cert), "RELABEL_WEB__KEY_FILE": str(ours.key)}
    served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis_url, **files)
    try:
        context = ssl.create_default_context(cafile=str(ours.ca))
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            assert (await client.get(f"{served.url}/livez")).json() == {"status": "ok"}
        assert served.url.startswith("https://")
        assert health_check_of_compose(served, **files) == 0
    finally:
        await asyncio.to_thread(end_server, served)

    wrong = clean_environment(RELABEL_REDIS__URL=redis_url, **(files | {"RELABEL_WEB__KEY_FILE": str(other.key)}))
    ended = await run_process("serve", "--port", "0", environment=wrong, folder=state_dir)
    assert ended.code == 2
    assert "RELABEL_WEB__KEY_FILE" in ended.err
    assert "Traceback" not in ended.err


def health_check_of_compose(served: Served, **settings: str) -> int:
    """The exit code of the service's health check, at this server's port."""
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    _, python, *command = compose["services"]["web"]["healthcheck"]["test"]
    assert python == "python"
    here = [part.replace(":8400", f":{served.url.rpartition(':')[2]}") for part in command]
    return subprocess.run([sys.executable, *here], env=settings, timeout=LONGEST_S, check=False).returncode


def test_the_health_check_of_compose_finds_a_server_that_is_ready(served):
    """Over TLS as well, which the test of certificates shows; and it fails where nobody answers."""
    nobody = served._replace(url=f"http://127.0.0.1:{free_port()}")

    assert health_check_of_compose(served) == 0
    assert health_check_of_compose(nobody) != 0


@pytest.mark.promise
async def test_a_client_that_never_ends_its_head_is_left(served):
    """Its connection is closed after a while, whatever it goes on sending."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n")

    async def send_on() -> None:
        while True:
            writer.write(b"x: y\r\n")
            await writer.drain()
            await asyncio.sleep(1)

    sending = asyncio.create_task(send_on())
    async with asyncio.timeout(HEADERS_WITHIN_S + 30):
        assert await reader.read() == b""
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    writer.close()


async def test_while_redis_is_away_it_lives_and_says_so(state_dir):
    """It does not start without Redis; where Redis goes later, it answers 503 and works again once Redis is back."""
    with PrivateRedis(state_dir) as redis:
        served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis.url)
        try:
            async with open_ledger(redis.url) as client:
                request = TokenRequest(name="t", owner="ada", scopes=[Scope.READ], created_by="tests")
                token, _ = await Ledger(client).tokens.create(request, life_s=600)
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60, trust_env=False) as http:
                assert (await http.get("/readyz")).status_code == 200
                redis.kill()
                assert (await http.get("/livez")).status_code == 200
                answer = await http.get("/v1/health")
                assert (answer.status_code, answer.json()["code"]) == (503, "redis_unreachable")
                assert answer.headers["content-type"] == "application/problem+json"
                assert int(answer.headers["retry-after"]) > 0

                async def is_unready() -> bool:
                    return (await http.get("/readyz")).status_code == 503

                await wait_until(is_unready, within=30, what="it is not ready")
                redis.start()

                async def works() -> bool:
                    return (await http.get("/v1/health")).status_code == 200

                await wait_until(works, within=60, what="it works again")
            assert "Traceback" not in served.log.read_text()
        finally:
            await asyncio.to_thread(end_server, served)
