"""One user: what the server is like, and that its data outlives it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import kombu
import psutil
import redis

from embedded.server import EmbeddedServer, embedded_server


def write(server: EmbeddedServer, value: str) -> None:
    with redis.Redis.from_url(server.ledger_url) as client:
        client.set("greeting", value)


def read(server: EmbeddedServer) -> bytes | None:
    with redis.Redis.from_url(server.ledger_url) as client:
        value: bytes | None = client.get("greeting")
    return value


def setting(server: EmbeddedServer, name: str) -> str:
    with redis.Redis.from_url(server.ledger_url) as client:
        return str(client.config_get(name)[name])


def test_a_first_user_starts_a_server_that_answers_the_ledger_and_celery(state_dir: Path) -> None:
    """Both URLs lead to the same server and database, also from a folder with a space and a percent sign."""
    with embedded_server(state_dir / "50% of it") as server:
        write(server, "hello")

        with kombu.Connection(server.broker_url) as broker:
            seen = broker.default_channel.client.get("greeting")

    assert seen == b"hello"
    assert server.started


def test_only_the_owner_may_enter_the_folder_and_the_socket(private_redis: EmbeddedServer, state_dir: Path) -> None:
    """The folder and the socket have mode 0700, the log 0600, and there is no port."""
    folder = private_redis.socket.parent

    assert folder == state_dir / "redis"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(private_redis.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "server.log").stat().st_mode) == 0o600
    assert stat.S_ISSOCK(private_redis.socket.stat().st_mode)
    assert setting(private_redis, "port") == "0"


def test_every_write_is_kept_in_a_file_and_no_key_is_ever_dropped(private_redis: EmbeddedServer) -> None:
    """The server itself says that the append-only file is on, eviction off, and memory bounded."""
    assert setting(private_redis, "appendonly") == "yes"
    assert setting(private_redis, "appendfsync") == "always"
    assert setting(private_redis, "save") == ""
    assert setting(private_redis, "maxmemory-policy") == "noeviction"
    assert int(setting(private_redis, "maxmemory")) == psutil.virtual_memory().total // 2


def test_the_memory_limit_can_be_chosen(state_dir: Path) -> None:
    """The limit is read as the server reads it."""
    with embedded_server(state_dir, maxmemory="64mb") as server:
        assert setting(server, "maxmemory") == str(64 * 1024 * 1024)


def test_data_is_there_again_after_a_stop_and_a_start(state_dir: Path) -> None:
    """A job that was interrupted is there on the next run."""
    with embedded_server(state_dir) as first:
        write(first, "still here")

    with embedded_server(state_dir) as second:
        assert read(second) == b"still here"
        assert second.started


def test_a_file_that_ends_in_the_middle_of_a_command_is_loaded(state_dir: Path) -> None:
    """A power cut may leave half a command; what came before it counts."""
    with embedded_server(state_dir) as first:
        write(first, "whole")
    (log_of_writes,) = (state_dir / "redis" / "appendonlydir").glob("*.incr.aof")
    with log_of_writes.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$8\r\ngree")

    with embedded_server(state_dir) as second:
        assert read(second) == b"whole"


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(state_dir: Path) -> None:
    """The data stays where it was asked for, and every user finds the same socket."""
    deep = state_dir / ("a" * 90) / ("b" * 90)

    with embedded_server(deep) as first, embedded_server(deep) as second:
        write(first, "from far below")

        assert not second.started
        assert read(second) == b"from far below"
        assert stat.S_IMODE(second.socket.parent.stat().st_mode) == 0o700
    with embedded_server(deep) as third:
        assert third.socket == first.socket
        assert read(third) == b"from far below"
    shutil.rmtree(first.socket.parent)


def test_the_lock_is_not_handed_down_by_accident(private_redis: EmbeddedServer) -> None:
    """Only a child that is given the descriptor on purpose keeps the server alive."""
    assert not os.get_inheritable(private_redis.lock_fd)
