"""The scripts that a deployment runs: secrets are made once, and Redis starts as the ledger needs it."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from embedded.binary import find_server_binary
from ledger.connect import new_client, persistence_warnings
from tests.harness.certificates import HOST
from tests.harness.end_with_parent import end_with_parent
from tests.harness.redis_node import free_port
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


@pytest.fixture
def started(tmp_path: Path) -> Iterator[int]:
    """The port of a server that the container's script has started."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(find_server_binary())
    (tmp_path / "password").write_text("p@ss word\n")
    port = free_port()
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "PASSWORD_FILE": str(tmp_path / "password"),
        "USERS_FILE": str(DEPLOY / "redis" / "users.acl"),
        "TMPDIR": str(tmp_path),
        "FOLDER": str(tmp_path),
        "PORT": str(port),
    }
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            ["sh", str(DEPLOY / "redis" / "start.sh")],
            env=environment,
            stdout=log,
            stderr=log,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
        )
    yield port
    server.kill()
    server.wait()


async def test_redis_starts_with_its_users_and_keeps_everything(started: int):
    """The health check may ping and nothing else, relabel has its rights, nobody else comes in."""
    with redis.Redis(host=HOST, port=started, username="health", password="any") as health:
        await wait_until(lambda: _ping(health), within=30, what="Redis answers")
        with pytest.raises(redis.exceptions.NoPermissionError):
            health.get("relabel:jobs")
    with redis.Redis(host=HOST, port=started) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()
    client = new_client(f"redis://relabel:p%40ss%20word@{HOST}:{started}/0")
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
