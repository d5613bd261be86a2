"""The scripts that a deployment runs: secrets are made once, and Redis starts as the ledger needs it."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from embedded.binary import find_server_binary
from ledger.connect import new_client, persistence_warnings
from tests.harness.certificates import HOST
from tests.harness.end_with_parent import end_with_parent
from tests.harness.free_port import free_port
from tests.harness.redis_node import NO_TLS_SERVER, tls_server
from tests.harness.wait import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
NAMES = {"openai_api_key", "relabel_redis__password", "relabel_flower__basic_auth", "grafana_password"}


def make_secrets(folder: Path, key: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(DEPLOY / "secrets.sh"), str(folder)]
    return subprocess.run(command, input=key, capture_output=True, text=True, check=False)


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path):
    """Nobody else gets into the folder; containers read the files that are mounted; nothing is overwritten or shown."""
    folder = tmp_path / "secrets"

    made = make_secrets(folder, "sk-canary\n")
    first = {path.name: path.read_text() for path in folder.iterdir()}
    again = make_secrets(folder, "sk-other\n")

    assert (made.returncode, again.returncode) == (0, 0)
    assert first.keys() == NAMES
    assert first["openai_api_key"] == "sk-canary\n"
    assert first["relabel_flower__basic_auth"].startswith("relabel:")
    assert len(set(first.values())) == len(NAMES)
    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    assert not any(secret.strip() in made.stdout + made.stderr for secret in first.values())


def test_a_missing_key_is_told_and_the_other_secrets_are_there(tmp_path: Path):
    """A rehearsal needs none."""
    refused = make_secrets(tmp_path / "secrets", "")

    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert {path.name for path in (tmp_path / "secrets").iterdir()} == NAMES - {"openai_api_key"}


class Started(NamedTuple):
    """A server that the container's script has started: its port, and how it is killed and started again."""

    port: int
    again: Callable[[], None]


PASSWORD = "p@ss word"


@pytest.fixture(params=["own", "debian"])
def started(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Started]:
    """A server as the script starts it: the machine's own or the bundled one, and Debian's Redis where that is here."""
    program = find_server_binary() if request.param == "own" else tls_server(tmp_path)
    if program is None:
        pytest.skip(NO_TLS_SERVER)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(program)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    port = free_port()
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "PASSWORD_FILE": str(tmp_path / "password"),
        "USERS_FILE": str(DEPLOY / "redis" / "users.acl"),
        "TMPDIR": str(tmp_path),
        "FOLDER": str(tmp_path),
        "PORT": str(port),
    }

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(
                ["sh", str(DEPLOY / "redis" / "start.sh")],
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
            )

    servers = [start()]

    def again() -> None:
        servers[-1].kill()
        servers[-1].wait()
        servers.append(start())

    yield Started(port, again)
    servers[-1].kill()
    servers[-1].wait()


async def test_a_server_that_was_killed_knows_what_scripts_had_written(started: Started):
    """The append-only file is read as the default user; what that user may not do in a transaction is dropped.

    Source: redis/redis#14541 and valkey-io/valkey#3983, both mended since.
    """
    with redis.Redis(host=HOST, port=started.port, username="relabel", password=PASSWORD) as client:
        await wait_until(lambda: _ping(client), within=30, what="Redis answers")
        client.eval("for _, key in ipairs(KEYS) do redis.call('SET', key, 1) end", 2, "relabel:a", "relabel:b")

        started.again()
        await wait_until(lambda: _ping(client), within=30, what="Redis answers again")

        assert client.mget("relabel:a", "relabel:b") == [b"1", b"1"]


async def test_redis_starts_with_its_users_and_keeps_everything(started: Started):
    """The health check may ping and nothing else, relabel has its rights, nobody else comes in."""
    with redis.Redis(host=HOST, port=started.port, username="health", password="any") as health:
        await wait_until(lambda: _ping(health), within=30, what="Redis answers")
        with pytest.raises(redis.exceptions.NoPermissionError):
            health.get("relabel:jobs")
    with redis.Redis(host=HOST, port=started.port) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()
    client = new_client(f"redis://relabel:p%40ss%20word@{HOST}:{started.port}/0")
    try:
        assert await client.ping()
        assert await persistence_warnings(client) == []
        assert (await client.config_get("appendfsync"))["appendfsync"] in {"always", b"always"}
        with pytest.raises(redis.exceptions.NoPermissionError):
            await client.flushall()
    finally:
        await client.aclose()


def _ping(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
