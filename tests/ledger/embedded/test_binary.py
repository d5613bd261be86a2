"""Which server program is run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ledger.embedded import find_server_binary


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
