"""Starts `relabel` and `celery` as processes of their own without the second that their imports take.

A server process imports everything once and forks at each request, as Python's own `multiprocessing.forkserver` does;
that one neither passes an environment, a folder and outputs on nor ends a process as the interpreter would. Where the
environment changes what the interpreter does at its start, a process has to be started afresh: `can_fork`.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import random
import selectors
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.harness.end_with_parent import end_with_parent

PROGRAMS = {"relabel": "cli.main", "celery": "celery.__main__"}
"""The programs that can be forked, and the module whose `main` each is."""
_PRELOADED = (
    "celery.__main__",
    "celery.bin.celery",
    "celery.apps.worker",
    "celery.apps.beat",
    "celery.concurrency.prefork",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "flower.command",
    "flower.urls",
    "kombu.transport.redis",
    "cli.main",
    "cli.carry_out",
    "completions.transport",
    "sandbox",
    "tasks.announce",
    "tasks.worker_app",
    "tasks.run_worker",
    "web.server",
    "worker.runtime",
    *(f"cli.commands.{path.stem}" for path in sorted(Path(__file__).parents[2].glob("cli/commands/[a-z]*.py"))),
)
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
"""What is read from the environment when an interpreter starts."""
_AT_START = {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_START)}


class Asked(NamedTuple):
    """What a process is to be; `files` are its standard input, output and error."""

    program: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]
    files: Sequence[int]


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
        self._server = _the_server().connect()
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


class _Server:
    """The server of this test process. It ends once the test process has closed its connection, however that ends."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=Path(__file__).parents[2],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def connect(self) -> socket.socket:
        """Return a connection for one process."""
        assert self._process.poll() is None, "the fork server has ended; what it wrote on standard error says why"
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._ours, [b"+"], [theirs.fileno()])
        return ours

    def close(self) -> None:
        """End it, and with it all that it forked."""
        self._ours.close()
        self._process.kill()
        self._process.wait()


_servers: list[_Server] = []


def _the_server() -> _Server:
    if not _servers:
        _servers.append(_Server())
        atexit.register(_servers[0].close)
    return _servers[0]


class _Forker:
    """Forks at each request and tells each asker how its process ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, tuple[int, socket.socket]] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def serve(self) -> Asked | None:
        """Return in each child, with what it is to run; in the server, None once the test process has ended."""
        while True:
            for key, _ in self._selector.select():
                if key.fd != self._control.fileno():
                    self._tell_end(key.fd)
                    continue
                word, handed, _, _ = socket.recv_fds(self._control, 1, 1)
                if not word:
                    return None
                asked = self._fork(socket.socket(fileno=handed[0]))
                if asked is not None:
                    return asked

    def _fork(self, asker: socket.socket) -> Asked | None:
        head, files, _, _ = socket.recv_fds(asker, 4, 3)
        asked = json.loads(asker.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))
        pid = os.fork()
        if not pid:
            self._selector.close()
            for connection in (self._control, asker, *(other for _, other in self._running.values())):
                connection.close()
            for pidfd in self._running:
                os.close(pidfd)
            return Asked(*asked, files)
        for file in files:
            os.close(file)
        asker.sendall(struct.pack("!I", pid))
        pidfd = os.pidfd_open(pid)
        self._running[pidfd] = (pid, asker)
        self._selector.register(pidfd, selectors.EVENT_READ)
        return None

    def _tell_end(self, pidfd: int) -> None:
        pid, asker = self._running.pop(pidfd)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        with asker, contextlib.suppress(OSError):  # nobody may be waiting any more
            asker.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))


def _become(asked: Asked) -> None:
    end_with_parent()
    for target, file in enumerate(asked.files):
        os.dup2(file, target)
        os.close(file)
    if os.isatty(0):  # Ctrl-C there is for the process whose terminal it is
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    else:
        os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(asked.environment)
    time.tzset()
    os.chdir(asked.folder)
    random.seed()
    module = sys.modules["__main__"]
    module.__spec__ = module.__package__ = None  # as of a script; click takes the program's name from it
    sys.argv = [str(Path(sys.executable).parent / asked.program), *asked.arguments]


def _main() -> None:
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    asked = _Forker(socket.socket(fileno=int(sys.argv[1]))).serve()
    if asked is not None:
        _become(asked)
        sys.exit(importlib.import_module(PROGRAMS[asked.program]).main())


if __name__ == "__main__":
    _main()
