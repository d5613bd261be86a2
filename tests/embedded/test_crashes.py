"""Crashes and refusals: what is left behind never stands in the way of the next user."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis

from embedded.errors import ServerNotStarted
from embedded.locks import is_held_exclusively
from embedded.probe import Answer, ping
from embedded.server import EmbeddedServer, embedded_server

FindServer = Callable[[EmbeddedServer | str], psutil.Process]
IsGone = Callable[[psutil.Process], bool]
Eventually = Callable[..., None]


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent's life")
def test_a_killed_guardian_takes_the_server_along(
    state_dir: Path, server_of: FindServer, is_gone: IsGone, eventually: Eventually
) -> None:
    """No server runs on unguarded, though a user is still there."""
    with embedded_server(state_dir) as server:
        process = server_of(server)
        guardian = process.parent()
        assert guardian is not None

        guardian.kill()

        eventually(lambda: is_gone(process))


def test_after_a_killed_guardian_the_next_user_has_a_new_server_with_the_data(
    state_dir: Path, server_of: FindServer, eventually: Eventually
) -> None:
    """The next user comes at once, while the old server may still answer: it is not adopted."""
    with embedded_server(state_dir) as first, redis.Redis.from_url(first.ledger_url) as client:
        client.set("greeting", "kept")
        process = server_of(first)
        guardian = process.parent()
        assert guardian is not None

        guardian.kill()
        # Its threads end one by one; it is gone for the next user when the kernel has freed its lock.
        eventually(lambda: not is_held_exclusively(state_dir / "redis" / "guardian.lock"))

        with embedded_server(state_dir) as second:
            assert second.started
            assert server_of(second) != process
            with redis.Redis.from_url(second.ledger_url) as fresh:
                assert fresh.get("greeting") == b"kept"


def test_a_killed_server_is_started_again_while_it_is_used(
    state_dir: Path, server_of: FindServer, is_gone: IsGone, eventually: Eventually
) -> None:
    """Time and again: its stale socket is no obstacle, and every acknowledged write is there."""
    with embedded_server(state_dir) as server, redis.Redis.from_url(server.ledger_url) as client:
        for number in range(1, 4):
            client.rpush("numbers", number)
            process = server_of(server)
            process.kill()

            eventually(lambda process=process: is_gone(process) and ping(server.socket) is Answer.READY)

            assert client.llen("numbers") == number
            assert server_of(server) != process


def test_a_program_that_fails_is_told_in_one_sentence(state_dir: Path) -> None:
    """The sentence carries the program's last words, where to read more, and what to do instead."""
    broken = program(state_dir / "broken", "echo first; echo 'no memory on the moon' >&2; exit 1")

    with pytest.raises(ServerNotStarted) as raised, embedded_server(state_dir, binary=broken):
        pass

    log = state_dir / "redis" / "server.log"
    assert str(raised.value) == (
        "the embedded server did not start: no memory on the moon; "
        f"read {log}, or set RELABEL_REDIS__URL to a server of your own"
    )


def test_a_program_that_is_not_there_is_told(state_dir: Path) -> None:
    """The name of the program is in the sentence."""
    with (
        pytest.raises(ServerNotStarted, match=r"No such file or directory.*no-such-server"),
        embedded_server(state_dir, binary=state_dir / "no-such-server"),
    ):
        pass


def test_a_failed_start_does_not_hinder_the_next_one(state_dir: Path) -> None:
    """No lock is left held, and no process waits."""
    broken = program(state_dir / "broken", "exit 1")
    with pytest.raises(ServerNotStarted), embedded_server(state_dir, binary=broken):
        pass

    with embedded_server(state_dir) as server:
        assert server.started


def test_a_folder_that_cannot_be_made_is_told(state_dir: Path) -> None:
    """The sentence names the place and the system's reason."""
    (state_dir / "file").touch()

    with (
        pytest.raises(ServerNotStarted, match="Not a directory; choose a state folder"),
        embedded_server(state_dir / "file"),
    ):
        pass


def test_a_lock_file_that_cannot_be_opened_is_told(state_dir: Path) -> None:
    """The server's folder may hold things of another owner."""
    (state_dir / "redis" / "users.lock").mkdir(parents=True)

    with pytest.raises(ServerNotStarted, match=r"users\.lock: Is a directory"), embedded_server(state_dir):
        pass
