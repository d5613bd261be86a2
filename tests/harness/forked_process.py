"""`relabel` and `celery` as processes that a server forks (`fork_server.py`), as `subprocess.Popen` would have them.

Where the environment changes what the interpreter does at its start, a process has to be started afresh: `can_fork`.
All test processes of one run share a server, which the first to need it starts.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import errno
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.fork_server import PROGRAMS

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
"""What is read from the environment when an interpreter starts."""
_AT_START = {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_START)}


def can_fork(program: str, environment: Mapping[str, str]) -> bool:
    """Return whether a fork is the same as a fresh start."""
    read = {name for name in environment.keys() | _AT_START.keys() if name.startswith(_READ_AT_START)}
    same = all(environment.get(name) == _AT_START.get(name) for name in read - {"PYTHONPATH"})
    return program in PROGRAMS and same and hasattr(os, "pidfd_open")


class ForkedProcess:
    """One process of the server, as `subprocess.Popen` would have it; started in a process group of its own."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        files: tuple[int, int, int],
    ) -> None:
        self.returncode: int | None = None
        asked = json.dumps([program, list(arguments), str(cwd), dict(env)]).encode()
        self._server = _connect()
        self._server.sendmsg(
            [struct.pack("!I", len(asked))],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))],
        )
        self._server.sendall(asked)
        (self.pid,) = struct.unpack("!I", self._server.recv(4, socket.MSG_WAITALL))

    def fileno(self) -> int:
        """Return what can be waited for: readable once the process has ended."""
        return self._server.fileno()

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(BlockingIOError):
                self._end(self._server.recv(4, socket.MSG_DONTWAIT))
        return self.returncode

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        if self.returncode is None:
            self._end(self._server.recv(4, socket.MSG_WAITALL))
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals | int) -> None:
        """Send a signal, where it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _end(self, status: bytes) -> None:
        assert len(status) == 4, "the fork server is gone"
        (code,) = struct.unpack("!i", status)
        self.returncode = code
        self._server.close()


_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
"""What the test processes of one run have in common, and no other process has."""
_ADDRESS = f"\0relabel-tests-{_RUN}"
"""An address without a file (Linux): whoever binds it first starts the server."""
TRIES = 3
_controls: list[socket.socket] = []
"""The connection of this process, once it has one; with it end the processes that it asked for."""


def _connect() -> socket.socket:
    """Return a connection for one process; the first one of this process starts the server, where there is none."""
    if not _controls:
        _controls.append(_control())
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(_controls[0], [b"+"], [theirs.fileno()])
    return ours


def _control() -> socket.socket:
    for _ in range(TRIES):
        _start_server()
        control = socket.socket(socket.AF_UNIX)
        # one that has just ended, as nobody was connected any more, refuses or says nothing
        with contextlib.suppress(ConnectionError):
            control.connect(_ADDRESS)
            if control.recv(1):
                atexit.register(control.close)
                return control
        control.close()
    raise AssertionError("the fork server ends at once; what it wrote on standard error says why")


def _start_server() -> None:
    """Start a server, unless one is there. It listens at once, and answers when it has imported everything."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(_ADDRESS)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return
            raise
        listener.listen(64)
        # it forks at once, so that it is no child of ours, which may end before others do
        subprocess.run(
            [sys.executable, "-m", "tests.harness.fork_server", str(listener.fileno())],
            cwd=Path(__file__).parents[2],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )
