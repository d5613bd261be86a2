"""The door: a server to use for a while, found running or started, and left to its last user to take down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from embedded import guardian, locks
from embedded.errors import ServerNotStarted
from embedded.folder import ServerFolder, system_errors_explained
from embedded.socket_path import place_socket
from embedded.start import LOADING_SECONDS, START_SECONDS, find_or_start

STOP_SECONDS = guardian.STOP_SECONDS + 2.0
"""How long the last user waits for the server to be gone."""
OTHERS_SECONDS = LOADING_SECONDS + START_SECONDS + STOP_SECONDS
"""How long to wait for other users who start or stop the server: each of them is bounded itself."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A server in use: where it listens, when this user began to start it, and the lock that keeps it alive.

    `started_at` is in seconds since the epoch, None where the server was there before.
    `lock_fd` may be given to a child process with `pass_fds`; the server then outlives that child too.
    """

    socket: Path
    log: Path
    started_at: float | None
    lock_fd: int

    @property
    def started(self) -> bool:
        """Whether this user started the server, instead of finding it running."""
        return self.started_at is not None

    @property
    def ledger_url(self) -> str:
        """The URL as redis-py reads it."""
        return f"unix://{quote(str(self.socket))}?db=0"

    @property
    def broker_url(self) -> str:
        """The URL as Celery reads it; the same database, as where one URL is set for both."""
        return f"redis+socket://{quote(str(self.socket))}?virtual_host=0"


@contextmanager
def embedded_server(
    state_dir: Path, *, maxmemory: str | None = None, binary: Path | None = None
) -> Iterator[EmbeddedServer]:
    """Use the server whose data lies in *state_dir*, and start it where it does not run.

    It runs until its last user has left or died; leaving waits for its end where nobody else uses it. *maxmemory*
    (such as `512mb`; default half of the machine's memory) and *binary* (default `find_server_binary()`) are those
    of the user who starts it. Raises `ServerNotStarted`.
    """
    folder = ServerFolder.prepare(state_dir)
    with _sharing(folder) as lock_fd:
        with _alone_at(folder.starting_lock), system_errors_explained(folder.path):
            socket = place_socket(folder.path)
            now = time.time()
            adopted = find_or_start(folder, socket, maxmemory=maxmemory, binary=binary)
        started_at = None if adopted else now
        yield EmbeddedServer(socket=socket, log=folder.log, started_at=started_at, lock_fd=lock_fd)


@contextmanager
def _sharing(folder: ServerFolder) -> Iterator[int]:
    # From here on the guardian cannot begin to stop the server; one that has begun is waited for.
    lock_fd = _take(folder.users_lock, locks.SHARED)
    try:
        yield lock_fd
    finally:
        locks.give_back(lock_fd)
        _wait_for_end_after_last_user(folder)


@contextmanager
def _alone_at(path: Path) -> Iterator[None]:
    fd = _take(path, locks.EXCLUSIVE)
    try:
        yield
    finally:
        locks.give_back(fd)


def _take(path: Path, kind: int) -> int:
    with system_errors_explained(path):
        fd = locks.take(path, kind, seconds=OTHERS_SECONDS)
    if fd is None:
        raise ServerNotStarted(
            f"another process has held {path} for {OTHERS_SECONDS:.0f} s",
            todo="end that process, or choose another state folder",
        )
    return fd


def _wait_for_end_after_last_user(folder: ServerFolder) -> None:
    """Stop the server behind a command that has ended, unless somebody else still uses it."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if not locks.is_held_exclusively(folder.guardian_lock) or locks.is_shared(folder.users_lock):
            return
        time.sleep(locks.LOOK_AGAIN_SECONDS)
