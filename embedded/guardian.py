"""The guardian: a small process that starts the server, outlives its users, and stops it after the last of them.

Run as a file, with the standard library only, so that it is up in a few hundredths of a second:
`python -I -S guardian.py USERS_LOCK GUARDIAN_LOCK SERVER_LOCK COMMAND...`

Every user shares USERS_LOCK, and the guardian waits to have it alone: the kernel grants that once the last user is
gone, for whatever reason. The guardian then keeps it until the server has ended, so a user who comes meanwhile waits
and finds no server. When the guardian itself is killed, Linux stops the server. macOS cannot: there the server stays,
and the next user to come stops it. A server that is killed while it is used is started again: what it acknowledged is
in its append-only file.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

EARLIER_SERVER_SECONDS = 8.0
"""Time for an earlier server to flush its file; less than users wait."""
STOP_SECONDS = 10.0
"""Time for our own server to stop; then it is killed, which loses nothing it acknowledged."""

_PR_SET_PDEATHSIG = 1
"""Source: prctl(2), linux/prctl.h."""


def main(arguments: Sequence[str]) -> int:
    """Guard one server until it ends, and return its exit code."""
    users_lock, guardian_lock, server_lock, *command = arguments
    if os.fork():
        # The user waits for this process only, and so never has a child of ours to bury.
        return 0
    os.umask(0o077)
    # First the earlier server must be gone, then we may be taken for the guardian of a server that answers.
    server_lock_fd = _lock_of_server(server_lock)
    guardian_lock_fd = _open(guardian_lock)
    fcntl.flock(guardian_lock_fd, fcntl.LOCK_EX)
    guarded = GuardedServer(command, server_lock_fd)
    signal.signal(signal.SIGTERM, lambda *_: guarded.stop())
    threading.Thread(target=_stop_after_last_user, args=(guarded, users_lock), daemon=True).start()
    return guarded.wait()


class GuardedServer:
    """The server, started again for as long as something kills it; one that ends by itself stays ended."""

    def __init__(self, command: Sequence[str], lock_fd: int) -> None:
        self._command = command
        self._lock_fd = lock_fd
        self._stopping = False
        self._process = _start(command, lock_fd)

    def wait(self) -> int:
        """Wait for the server's end, and return its exit code."""
        while True:
            code = self._process.wait()
            if self._stopping or code >= 0:
                return code
            self._process = _start(self._command, self._lock_fd)
            if self._stopping:
                # it was told while there was no process to tell
                self._process.terminate()

    def stop(self) -> None:
        """Let the server end."""
        self._stopping = True
        self._process.terminate()

    def kill(self) -> None:
        """End the server at once, which loses nothing that it acknowledged."""
        self._process.kill()


def _start(command: Sequence[str], server_lock_fd: int) -> subprocess.Popen[bytes]:
    # It inherits the lock, and holds it for as long as it lives; it inherits nothing else.
    return subprocess.Popen(  # noqa: S603  the command is the one our own server.py wrote
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=(server_lock_fd,),
        process_group=0,
        preexec_fn=_stop_with_parent(),  # noqa: PLW1509  the other thread waits in the kernel and holds nothing
    )


def _stop_after_last_user(guarded: GuardedServer, users_lock: str) -> None:
    fcntl.flock(_open(users_lock), fcntl.LOCK_EX)
    guarded.stop()
    # this thread dies with the process, which ends with the server
    time.sleep(STOP_SECONDS)
    guarded.kill()


def _stop_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415  macOS has no use for it

    # Loaded before the fork: between fork and exec as little as possible may happen.
    prctl = ctypes.CDLL(None).prctl
    guardian = os.getpid()

    def ask_for_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != guardian:
            # The guardian was killed before the line above: no signal will come.
            os._exit(1)

    return ask_for_signal


def _lock_of_server(path: str) -> int:
    fd = _open(path)
    deadline = time.monotonic() + EARLIER_SERVER_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit("an earlier server still has the append-only file open")
            time.sleep(0.01)
        else:
            return fd


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
