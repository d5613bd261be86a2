"""Several users: they share one server, and it lives exactly as long as one of them does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import redis

from embedded.server import EmbeddedServer, embedded_server

COME_AND_GO = """
import sys
from pathlib import Path
import redis
from embedded.server import embedded_server

for _ in range(int(sys.argv[2])):
    with embedded_server(Path(sys.argv[1])) as server, redis.Redis.from_url(server.ledger_url) as client:
        client.incr("visits")
"""

StartUser = Callable[..., Any]
FindServer = Callable[[EmbeddedServer | str], psutil.Process]
IsGone = Callable[[psutil.Process], bool]
Eventually = Callable[..., None]


def test_the_server_is_gone_when_its_only_user_has_left(
    state_dir: Path, server_of: FindServer, is_gone: IsGone
) -> None:
    """A command that has ended leaves neither server nor guardian running, without any waiting by the caller."""
    with embedded_server(state_dir) as server:
        process = server_of(server)
        guardian = process.parent()

    assert is_gone(process)
    assert guardian is not None
    assert is_gone(guardian)


def test_a_second_user_adopts_the_server_which_stays_until_the_last_has_left(
    state_dir: Path, start_user: StartUser, server_of: FindServer, is_gone: IsGone
) -> None:
    """The user who started the server may leave first."""
    first = start_user()
    assert first.greeting()["adopted"] is False

    with embedded_server(state_dir) as second:
        process = server_of(second)
        first.leave()

        assert not second.started
        assert server_of(second) == process

    assert is_gone(process)


def test_a_killed_user_takes_the_server_along(
    start_user: StartUser, server_of: FindServer, is_gone: IsGone, eventually: Eventually
) -> None:
    """SIGKILL leaves the user no time to clean up; the kernel frees its lock."""
    user = start_user()
    process = server_of(user.greeting()["url"])

    user.process.kill()

    eventually(lambda: is_gone(process))


def test_a_child_that_holds_the_lock_keeps_the_server_after_its_parent_left(
    state_dir: Path, server_of: FindServer, is_gone: IsGone, eventually: Eventually
) -> None:
    """A worker process may outlive the command that started it, and still has its ledger."""
    with embedded_server(state_dir) as server:
        process = server_of(server)
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(server.lock_fd,)
        )

    assert server_of(server) == process

    child.communicate()
    eventually(lambda: is_gone(process))


def test_ctrl_c_does_not_reach_the_server(state_dir: Path, start_user: StartUser, server_of: FindServer) -> None:
    """SIGINT goes to the user's whole process group, as from a terminal; the server is in none of it."""
    starter = start_user()
    starter.greeting()
    with embedded_server(state_dir) as server:
        process = server_of(server)

        os.killpg(starter.process.pid, signal.SIGINT)
        starter.process.communicate()

        assert starter.process.returncode != 0
        assert server_of(server) == process
        assert os.getsid(process.pid) != starter.process.pid


def test_four_users_at_once_get_one_server(start_user: StartUser, server_of: FindServer) -> None:
    """Exactly one of them starts it."""
    users = [start_user() for _ in range(4)]

    greetings = [user.greeting() for user in users]

    assert sorted(greeting["adopted"] for greeting in greetings) == [False, True, True, True]
    assert len({server_of(greeting["url"]) for greeting in greetings}) == 1


def test_users_who_come_while_the_server_stops_lose_nothing(state_dir: Path) -> None:
    """Starts and stops follow each other as fast as four processes can cause them, and every write counts."""
    visitors = [
        subprocess.Popen([sys.executable, "-c", COME_AND_GO, str(state_dir), "10"], stderr=subprocess.PIPE)
        for _ in range(4)
    ]

    map_errors = [visitor.communicate()[1] for visitor in visitors]

    assert map_errors == [b""] * 4
    with embedded_server(state_dir) as server, redis.Redis.from_url(server.ledger_url) as client:
        assert client.get("visits") == b"40"


def test_the_api_key_is_in_no_process_that_stays(start_user: StartUser, server_of: FindServer) -> None:
    """Server and guardian start with an empty environment."""
    user = start_user(env={**os.environ, "OPENAI_API_KEY": "sk-canary"})
    process = server_of(user.greeting()["url"])

    guardian = process.parent()

    assert guardian is not None
    assert "OPENAI_API_KEY" not in {**process.environ(), **guardian.environ()}
