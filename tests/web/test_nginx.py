"""Behind nginx with the configuration that is shipped: events come at once, forms count, and nobody names a person."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from config.web import Scope
from tests.harness.certificates import Certificate, new_certificate
from tests.harness.end_with_parent import end_with_parent
from tests.harness.free_port import free_port
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.web.conftest import LONGEST_S, Served, end_server, start_server
from tests.web.streams import stream

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx" / "relabel.conf"
NAME = "relabel.example.com"
ORIGIN = f"https://{NAME}"
MAIN = """
daemon off;
master_process off;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    include {folder}/relabel.conf;
}}
"""

pytestmark = [
    pytest.mark.promise,
    pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed (Debian's package of that name)"),
]


@pytest.fixture
def behind(redis_url: str, tmp_path: Path) -> Iterator[Served]:
    """A server that trusts the proxy, as docs/operations.md says."""
    names = {"RELABEL_WEB__ALLOWED_HOSTS": NAME, "RELABEL_WEB__USER_HEADER": "X-Forwarded-User"}
    settings = {"RELABEL_REDIS__URL": redis_url, "RELABEL_WEB__TRUSTED_PROXIES": "127.0.0.1"} | names
    served = start_server(tmp_path, **settings)
    yield served
    end_server(served)


@pytest.fixture
def proxy(behind: Served, tmp_path: Path) -> Iterator[tuple[str, Certificate]]:
    """Its address, with nginx in front; only port, server and certificate are not those of the file."""
    certificate, port = new_certificate(tmp_path, "proxy", by=trustme.CA()), free_port()
    config = SHIPPED.read_text(encoding="utf-8")
    for shipped, here in {
        "127.0.0.1:8400": behind.url.removeprefix("http://"),
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "/etc/ssl/relabel.crt": str(certificate.cert),
        "/etc/ssl/relabel.key": str(certificate.key),
    }.items():
        assert shipped in config
        config = config.replace(shipped, here)
    (tmp_path / "relabel.conf").write_text(config)
    (tmp_path / "nginx.conf").write_text(MAIN.format(folder=tmp_path))
    command = ["nginx", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)]
    with subprocess.Popen(command, preexec_fn=end_with_parent) as nginx:  # noqa: PLW1509 - it only makes a system call
        yield f"https://127.0.0.1:{port}", certificate
        nginx.terminate()


@pytest.fixture
async def browser(proxy):
    """A client of the proxy, which knows it by its name."""
    url, certificate = proxy
    context = ssl.create_default_context(cafile=str(certificate.ca))
    options = {"base_url": url, "headers": {"Host": NAME}, "timeout": LONGEST_S, "trust_env": False}
    async with httpx.AsyncClient(verify=context, **options) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/livez")).status_code == 200
            except httpx.ConnectError:
                return False

        await wait_until(answers, within=LONGEST_S, what="nginx answers")
        yield client


async def test_each_event_comes_at_once(browser, new_token, make_job, ledger):
    """Nothing waits for more of the stream."""
    spec = await make_job("id,team\n" + "".join(f"{each},t\n" for each in PatchRows(4).ids))
    browser.headers["Authorization"] = f"Bearer {await new_token(Scope.READ)}"
    async with stream(browser, spec.job_id) as events:
        assert (await events.next()).job["state"] == "running"
        await ledger.jobs.pause(spec.job_id, by="ada@x", code="paused", reason="")
        assert (await events.next()).job["state"] == "paused"


async def test_a_person_is_named_by_the_proxy_alone(browser):
    """Not by a client that sends its header."""
    for headers in ({}, {"X-Forwarded-User": "mallory"}):
        assert (await browser.get("/v1/jobs", headers=headers)).status_code == 401


async def test_a_form_over_https_signs_in_with_a_cookie_for_https(browser, new_token):
    """The server knows by which scheme and name it is called."""
    form = {"token": await new_token(Scope.READ), "next": "/jobs"}
    answer = await browser.post("/sign-in", data=form, headers={"Origin": ORIGIN})
    foreign = await browser.post("/sign-in", data=form, headers={"Origin": "https://relabel.example"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs")
    assert "Secure" in answer.headers["set-cookie"]
    assert foreign.status_code == 403


async def test_a_large_file_passes(browser, new_token):
    """nginx itself would take 1 MiB."""
    browser.headers["Authorization"] = f"Bearer {await new_token(Scope.SUBMIT)}"
    rows = "id,team\n" + "".join(f"{each},{'x' * 400}\n" for each in PatchRows(5000).ids)
    answer = await browser.post("/v1/jobs", params={"hold": True}, files={"file": ("a.csv", rows)})

    assert answer.status_code == 201, answer.text
    assert answer.json()["rows"]["total"] == 5000
