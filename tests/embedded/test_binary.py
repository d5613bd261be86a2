"""Which server program is run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from embedded.binary import Version, find_server_binary, written_by
from embedded.errors import ServerNotStarted
from embedded.server import embedded_server


def server_program(folder: Path, name: str, version: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "version"),
    [("redis-server", "Redis server v=7.0.15 sha=00000000:0"), ("valkey-server", "Valkey server v=8.1.0 sha=0:0")],
)
def test_a_server_of_the_machine_is_preferred(tmp_path: Path, name: str, version: str) -> None:
    """Redis and Valkey are equally good."""
    theirs = server_program(tmp_path, name, version)

    assert find_server_binary(str(tmp_path)) == theirs


@pytest.mark.parametrize("version", ["Redis server v=6.0.16 sha=00000000:0", "Segmentation fault"])
def test_a_server_that_is_too_old_or_broken_is_passed_over(tmp_path: Path, version: str) -> None:
    """Redis 6 would not see what newer servers wrote, and show an empty ledger."""
    theirs = server_program(tmp_path, "redis-server", version)

    assert find_server_binary(str(tmp_path)) != theirs


def test_the_shipped_server_is_the_last_resort(tmp_path: Path) -> None:
    """A machine with nothing installed beside the project has a server, and it runs."""
    shipped = find_server_binary(str(tmp_path))

    told = subprocess.run([shipped, "--version"], capture_output=True, text=True, check=True)
    assert "server v=" in told.stdout


def data_of(folder: Path, writer: bytes) -> Path:
    """A folder whose append-only files begin as those of this server."""
    (folder / "appendonlydir").mkdir()
    head = b"VALKEY080\xfa\nvalkey-ver" if writer.startswith(b"v") else b"REDIS0011\xfa\tredis-ver"
    number = writer[1:]
    (folder / "appendonlydir" / "appendonly.aof.1.base.rdb").write_bytes(head + bytes([len(number)]) + number + b"\xfa")
    return folder


def test_the_server_that_wrote_the_data_is_preferred(tmp_path: Path, state_dir: Path) -> None:
    """Whatever comes first on PATH: an older one would refuse to start, or forget what it cannot read."""
    server_program(tmp_path, "redis-server", "Redis server v=7.0.15 sha=0:0")
    theirs = server_program(tmp_path, "valkey-server", "Valkey server v=8.1.3 sha=0:0")

    assert find_server_binary(str(tmp_path), data=data_of(state_dir, b"v8.1.0")) == theirs


@pytest.mark.parametrize("writer", [b"v99.1.2", b"r99.0.1"])
def test_data_that_no_server_here_can_read_is_named_with_what_to_do(
    tmp_path: Path, state_dir: Path, writer: bytes
) -> None:
    """With the server that wrote it, and the one that was found."""
    program = server_program(tmp_path, "redis-server", "Redis server v=7.0.15 sha=0:0")

    with pytest.raises(
        ServerNotStarted, match=r"written by (Valkey|Redis) 99\.\d, .* is Redis 7\.0.*install"
    ) as caught:
        find_server_binary(str(tmp_path), data=data_of(state_dir, writer))

    assert str(program) in str(caught.value)


def test_the_version_is_read_from_what_a_real_server_wrote(state_dir: Path) -> None:
    """And its own program is found for it, where another comes first."""
    with embedded_server(state_dir):
        pass

    writer = written_by(state_dir / "redis")
    told = subprocess.run([find_server_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    assert writer is not None
    assert f"{writer.family.capitalize()} server v={writer.number[0]}.{writer.number[1]}." in told


@pytest.mark.parametrize(
    ("reader", "writer", "reads"),
    [
        ("valkey 9.1", "valkey 9.1", True),
        ("valkey 9.1", "valkey 8.0", True),
        ("valkey 8.0", "valkey 9.1", False),
        ("valkey 9.1", "redis 7.2", True),
        ("valkey 9.1", "redis 7.4", False),
        ("redis 8.0", "valkey 8.0", False),
    ],
)
def test_who_reads_whose_files(reader: str, writer: str, reads: bool) -> None:
    """Valkey began as a copy of Redis 7.2, and neither reads what the other did since."""
    assert version(reader).reads(version(writer)) is reads


def version(text: str) -> Version:
    family, number = text.split()
    major, minor = number.split(".")
    return Version(family, (int(major), int(minor)))
