"""A job over Redis as it stands in production: TLS, a password, few rights, sentinels that fail over."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from embedded.binary import find_server_binary
from tests.end_to_end.cli_process import ROOT, CliProcess
from tests.end_to_end.conftest import StartCelery, StartServer
from tests.end_to_end.expectation import new_ids, simple_csv
from tests.harness.certificates import Certificate, new_certificate
from tests.harness.free_port import free_port
from tests.harness.redis_node import NO_TLS_SERVER, RedisNode, tls_options, tls_server
from tests.harness.wait import wait_until

PASSWORD = "p@ss/word:1"
SENTINEL_PASSWORD = "guard:2"
ACL = ROOT / "deploy" / "redis" / "users.acl"


@pytest.mark.promise
async def test_a_job_needs_no_more_rights_than_the_documented_user_has(
    relabel: CliProcess, serve: StartServer, start_celery: StartCelery, tmp_path: Path
) -> None:
    """TLS both ways, the password in a file of its own, and nothing in the server's log of refusals."""
    program = tls_server(tmp_path)
    if program is None:
        pytest.skip(NO_TLS_SERVER)
    ca = trustme.CA()
    client, server = (new_certificate(tmp_path, name, by=ca) for name in ("client", "server"))
    password = hashlib.sha256(PASSWORD.encode()).hexdigest()
    users = [line for line in ACL.read_text().splitlines() if line.startswith("user relabel")]
    (tmp_path / "users.acl").write_text(users[0].replace("SHA256_OF_THE_PASSWORD", password) + "\n")
    options = tls_options(server) | {"aclfile": str(tmp_path / "users.acl"), "appendonly": "yes"}
    secrets = relabel.folder / "secrets"
    secrets.mkdir()
    (secrets / "relabel_redis__password").write_text(PASSWORD + "\n")
    ids = new_ids(20)
    await serve({completion_id: {} for completion_id in ids})

    with RedisNode(program, tmp_path / "redis", options=options, certificate=client) as redis:
        relabel.environment |= {
            "RELABEL_REDIS__URL": f"rediss://relabel@127.0.0.1:{redis.port}/0",
            "RELABEL_SECRETS_DIR": str(secrets),
            **tls_settings(client),
        }
        worker = await start_celery()
        ping = await relabel("-A", "tasks.app", "inspect", "ping", program="celery")
        ended = await relabel("submit", relabel.file("rows.csv", simple_csv(ids)), "--wait")
        health = await relabel("health", "--only", "ledger,broker,worker-here,clock")
        scraped = await scrape(relabel)
        refusals = redis.admin.acl_log()

    assert (ping.code, ended.code, health.code) == (0, 0, 0), (ping.said, ended.said, health.said, worker.err)
    assert 'relabel_rows_total{outcome="updated"} 20' in scraped
    assert refusals == []
    assert PASSWORD not in ended.said + worker.err + worker.out


async def scrape(relabel: CliProcess) -> str:
    """What `relabel metrics` tells once."""
    port = free_port()
    metrics = await relabel.start("metrics", RELABEL_METRICS__PORT=str(port))
    await metrics.says("metrics on")
    with await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        told = reply.read().decode()
    metrics.send(signal.SIGTERM)
    await metrics.ended()
    return told


class Trio(NamedTuple):
    """A primary, its replica, the sentinel that watches them, and the settings that lead there."""

    primary: RedisNode
    replica: RedisNode
    sentinel: RedisNode
    settings: dict[str, str]


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    """With TLS between all of them; in clear where no server with TLS is to be had."""
    program, certificates = tls_server(tmp_path), dict[str, Certificate]()
    if program is None:
        program = find_server_binary()
    else:
        ca = trustme.CA()
        certificates = {name: new_certificate(tmp_path, name, by=ca) for name in ("server", "client")}
    tls = tls_options(certificates["server"]) if certificates else {}
    client = certificates.get("client")
    with ExitStack() as stack:

        def start(name: str, options: dict[str, str], password: str, *, sentinel: bool = False) -> RedisNode:
            node = RedisNode(
                program,
                tmp_path / name,
                options=tls | {"requirepass": password} | options,
                certificate=client,
                sentinel=sentinel,
                login={"password": password},
            )
            return stack.enter_context(node)

        ledger = {"masterauth": PASSWORD, "appendonly": "yes", "repl-diskless-sync-delay": "0"}
        primary = start("primary", ledger, PASSWORD)
        replica = start("replica", ledger | {"replicaof": f"127.0.0.1 {primary.port}"}, PASSWORD)
        replica.wait_for(lambda: replica.admin.info("replication")["master_link_status"] == "up", "it follows")
        watch = {
            "sentinel monitor": f"main 127.0.0.1 {primary.port} 1",
            "sentinel auth-pass": f"main {PASSWORD}",
            "sentinel down-after-milliseconds": "main 1000",
            "sentinel failover-timeout": "main 5000",
        }
        sentinel = start("sentinel", watch, SENTINEL_PASSWORD, sentinel=True)
        sentinel.wait_for(lambda: sentinel.admin.sentinel_slaves("main"), "it knows the replica")
        hosts = f"127.0.0.1:1,127.0.0.1:{sentinel.port}"  # the first does not answer, as one of three may not
        scheme = "sentinels" if client else "sentinel"
        settings = {
            "RELABEL_REDIS__URL": f"{scheme}://{hosts}/main/0",
            "RELABEL_REDIS__PASSWORD": PASSWORD,
            "RELABEL_REDIS__SENTINEL_PASSWORD": SENTINEL_PASSWORD,
        }
        yield Trio(primary, replica, sentinel, settings | (tls_settings(client) if client else {}))


@pytest.mark.promise
async def test_a_job_goes_on_when_the_primary_dies(
    relabel: CliProcess, serve: StartServer, start_celery: StartCelery, trio: Trio
) -> None:
    """The replica takes over; ledger and broker both find it, and every row gets what it was to have."""
    ids = new_ids(300)
    server = await serve({completion_id: {} for completion_id in ids}, latency_s=0.05)
    relabel.environment |= trio.settings | {"RELABEL_JOB__SHARD_ROWS": "50", "RELABEL_WORKER__IN_FLIGHT": "4"}
    worker = await start_celery()
    job_id = (await relabel("submit", relabel.file("rows.csv", simple_csv(ids)))).out.strip()
    await wait_until(lambda: server.asked("POST") > 20, within=60, what="some rows are written")

    trio.primary.kill()
    trio.replica.wait_for(lambda: trio.replica.admin.info("replication")["role"] == "master", "it is the primary")

    async def finished() -> bool:
        status = await relabel("status", job_id, "--json")
        return status.code == 0 and status.facts["state"] == "finished"

    await wait_until(finished, within=120, what="the job is finished", every=0.5)
    facts = (await relabel("status", job_id, "--json")).facts
    # what the replica had not been told is done again, and may be found done
    assert facts["rows"]["updated"] + facts["rows"]["unchanged"] == 300
    assert server.completions == {completion_id: {"team": "blue"} for completion_id in ids}
    assert not any(password in worker.err + worker.out for password in (PASSWORD, SENTINEL_PASSWORD))


def tls_settings(client: Certificate) -> dict[str, str]:
    """The client's files, as the environment names them."""
    return {f"RELABEL_REDIS__{name}_FILE": str(getattr(client, name.lower())) for name in ("CA", "CERT", "KEY")}
