"""A private Redis whose clock the simulation sets: libfaketime reads it from a file before each look at the time."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import redis

from embedded.binary import find_server_binary
from embedded.command import server_command
from tests.harness.end_with_parent import end_with_parent

START_S = 20.0
BEGIN = 2_000_000_000.0
"""When a simulation begins, seconds since the epoch."""


def faketime_library() -> Path | None:
    """The library that stands between a program and its clocks; None where it is not installed."""
    folders = (Path("/usr/lib"), Path("/usr/local/lib"))
    return next((path for folder in folders for path in sorted(folder.glob("**/libfaketime.so.1"))), None)


class ClockedRedis:
    """A server in a folder in memory; `admin` is a blocking client, which is not part of the simulation.

    It writes every change to its file before it answers, so that a kill loses nothing; it waits for no disk, as no
    power fails here.
    """

    def __init__(self, library: Path) -> None:
        memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(prefix="relabel-", dir=memory if memory.is_dir() else None)
        folder = Path(self._folder.name)
        self.socket = folder / "redis.sock"
        self._log = folder / "redis.log"
        clock = folder / "clock"
        self._clock = os.open(clock, os.O_RDWR | os.O_CREAT, 0o600)
        self._command = server_command(find_server_binary(), folder=folder, socket=self.socket, maxmemory="256mb")
        self._command += ["--appendfsync", "no"]
        self._environment = os.environ | {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_FMT": "%s",
            "FAKETIME_NO_CACHE": "1",
        }
        self._server: subprocess.Popen[bytes] | None = None
        self.admin = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=START_S)
        self.set_clock(BEGIN)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()
        self.kill()
        os.close(self._clock)
        self._folder.cleanup()

    def start(self) -> None:
        """Start, and wait until commands are carried out."""
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, f"Redis does not answer: {self._log.read_text()[-500:]}"
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def set_clock(self, now: float) -> None:
        """Set all clocks of the server. In between they stand still: the same schedule always gives the same run."""
        os.pwrite(self._clock, f"{now:.6f}\n".encode(), 0)

    def _answers(self) -> bool:
        try:
            return bool(self.admin.ping())
        except redis.RedisError:
            return False
